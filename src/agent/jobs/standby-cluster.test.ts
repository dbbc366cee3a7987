/** The first member of a standby cluster, and the jobs that must not open PostgreSQL in one. */
import { describe, expect, it } from 'vitest';
import { authority, settings, view } from '../../../test/support/build.ts';
import { standbyClusters } from '../../../test/support/random-standby-clusters.ts';
import { codeOf } from '../../support/errors.ts';
import { type PromotePorts, promote } from './promote.ts';
import { type BootstrapStandbyPorts, bootstrapStandby } from './standby-cluster.ts';
import { type StartPorts, start } from './start.ts';

const ID = '7301234567890123456';
const followed = settings('a', { dynamic: { standbyCluster: standbyClusters[0]! } });
const signal = new AbortController().signal;

async function run({ initialize = '', fail = '' }: { initialize?: string | null; fail?: string } = {}) {
  const calls: string[] = [];
  const call =
    <T>(name: string, value: T) =>
    async (): Promise<T> => {
      calls.push(name);
      if (name === fail) throw new Error(`${name} failed`);
      return value;
    };
  const ports = {
    settings: { current: () => followed, local: () => followed.local, bootstrapConfig: () => ({}) },
    log: { warning() {} },
    pg: {
      stop: async () => {},
      clone: call('clone', undefined),
      start: call('start', { notWritten: [] }),
      observe: async () => ({ systemIdentifier: ID }),
      removeDataDirectory: call('remove', undefined),
    },
    dcs: {
      read: async () => ({ ...view(), initialize }),
      publishInitialize: call('publish', '17'),
      clearInitialize: call('clear', true),
      acquireLeader: call('key', true),
      createConfig: call('config', true),
    },
    authority: { now: authority({ leaseId: 'mark' }) },
    lease: { carry: async (write: (leaseId: string) => Promise<boolean>) => write('now') },
    fence: { arm: call('arm', undefined), disarm: async () => {} },
    configApplied: () => {},
  } as unknown as BootstrapStandbyPorts;
  const code = await bootstrapStandby(ports, { kind: 'bootstrap-standby', source: null }, signal).then(() => null, codeOf);
  return { calls, code };
}

describe('the first member of a standby cluster', () => {
  it('is copied and started, then published, and leads without an armed guard', async () => {
    expect(await run()).toEqual({ calls: ['clone', 'start', 'publish', 'key', 'config'], code: null });
  });

  it('leaves the cluster to others when the copy cannot be made', async () => {
    expect((await run({ fail: 'clone' })).calls).toEqual(['clone', 'clear']);
  });

  it('removes its copy when another cluster was published meanwhile', async () => {
    expect(await run({ initialize: '1111111111111' })).toEqual({ calls: ['clone', 'start', 'remove', 'clear'], code: 'BOOTSTRAP_LOST' });
  });

  it('keeps its copy when another member was quicker with the same data', async () => {
    expect(await run({ initialize: ID })).toEqual({ calls: ['clone', 'start', 'key', 'config'], code: null });
  });
});

describe('a job that began before the setting changed', () => {
  const opened: string[] = [];
  const ports = (pause: boolean) =>
    ({
      settings: {
        current: () => settings('a', { dynamic: { standbyCluster: standbyClusters[0]!, pause } }),
        local: () => followed.local,
      },
      log: { warning() {} },
      pg: {
        prePromote: async () => true,
        setSyncNames: async () => {},
        promote: async () => void opened.push('promote'),
        start: async () => {
          opened.push('start');
          return { notWritten: [] };
        },
      },
      fence: { arm: async () => {}, disarm: async () => {} },
      watchdogKeeper: { activate: async () => true },
      configApplied: () => {},
    }) as unknown as PromotePorts & StartPorts;

  it('neither promotes nor starts a primary', async () => {
    expect(await promote(ports(false), null, signal).catch(codeOf)).toBe('STANDBY_CLUSTER');
    expect(await start(ports(false), { kind: 'primary' }, null, signal).catch(codeOf)).toBe('STANDBY_CLUSTER');
    expect(opened).toEqual([]);
  });

  it('does in a pause what an operator asked for', async () => {
    await start(ports(true), { kind: 'primary' }, null, signal);
    expect(opened).toEqual(['start']);
  });
});
