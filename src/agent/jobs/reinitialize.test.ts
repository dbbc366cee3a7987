/** Data are removed for a new copy only while another copy of this cluster is seen. */
import { expect, it } from 'vitest';
import { lsn, SYSTEM_ID, settings, view } from '../../../test/support/build.ts';
import { fake } from '../../../test/support/fake.ts';
import type { ClusterView } from '../../core/cluster.ts';
import type { SourceHistory } from '../../core/postgres-facts.ts';
import { type ClonePorts, clone } from './clone.ts';

const ID = SYSTEM_ID;
const history: SourceHistory = { name: 'b', systemIdentifier: ID, timeline: 1, lsn: lsn(1000), history: [], inRecovery: false };

const etcd = async (): Promise<ClusterView> => ({ ...view(), initialize: ID, leader: null, members: [] });

async function run(
  source: () => Promise<Partial<SourceHistory>>,
  read: () => Promise<ClusterView> = etcd,
  refusal: string | null = null,
): Promise<readonly string[]> {
  const calls: string[] = [];
  const call = (name: string) => async () => void calls.push(name);
  const ports: ClonePorts = {
    clock: fake<ClonePorts['clock']>({ bootMs: () => 0 }),
    settings: { current: () => settings('a', { dynamic: { synchronousMode: 'quorum' }, local: { tags: { nosync: true } } }) },
    log: { warning() {} },
    pg: {
      sourceHistory: async () => ({ ...history, ...(await source()) }),
      stop: call('stop'),
      checkRemake: async (cluster) => {
        calls.push('check');
        expect(cluster).toBe(ID);
        if (refusal !== null) throw Object.assign(new Error('in the way'), { code: refusal });
      },
      removeDataDirectory: call('remove'),
      clone: call('clone'),
      start: async () => {
        calls.push('start');
        return { notWritten: [] };
      },
    },
    dcs: { read },
    fence: fake<ClonePorts['fence']>({ disarm: call('rest') }),
    leaving() {},
    stopping() {},
    configApplied() {},
    announceStop: call('on_stop'),
  };
  const job = { kind: 'reinitialize', source: { name: 'b', host: 'b', port: 5432 }, fromLeader: true } as const;
  await clone(ports, job, new AbortController().signal).catch((error: { code?: string }) => calls.push(error.code ?? String(error)));
  return calls;
}

it('is removed and cloned where the source is of the cluster that etcd knows', async () => {
  expect(await run(async () => ({ systemIdentifier: ID }))).toEqual(['check', 'stop', 'on_stop', 'remove', 'clone', 'rest', 'start']);
});

it('stays where the source does not answer', async () => {
  const silent = () => Promise.reject(Object.assign(new Error('no answer'), { code: 'SOURCE_UNREACHABLE' }));
  expect(await run(silent)).toEqual(['SOURCE_UNREACHABLE']);
});

it('stays where the source has the disk of another cluster', async () => {
  expect(await run(async () => ({ systemIdentifier: '1111111111111111111' }))).toEqual(['SOURCE_OTHER_CLUSTER']);
});

it('stays where the source died while etcd kept us waiting', async () => {
  let alive = true;
  let reads = 0;
  const source = async () => {
    if (alive) return { systemIdentifier: ID };
    throw Object.assign(new Error('no answer'), { code: 'SOURCE_UNREACHABLE' });
  };
  const slow = async () => {
    reads += 1;
    // The one after the stop.
    if (reads === 2) alive = false;
    return etcd();
  };
  expect(await run(source, slow)).toEqual(['check', 'stop', 'on_stop', 'SOURCE_UNREACHABLE']);
});

it.each([
  ['is cloned from the primary that /sync names', 'b', false, ['check', 'stop', 'on_stop', 'remove', 'clone', 'rest', 'start']],
  ['stays where the source only follows that one', 'b', true, ['check', 'stop', 'on_stop', 'MEMBER_COUNTED_ON']],
  ['stays where the source is another', 'c', true, ['check', 'stop', 'on_stop', 'MEMBER_COUNTED_ON']],
] as const)('while /sync counts on what this member has confirmed, it %s', async (_what, leader, inRecovery, expected) => {
  const counting = async () => ({ ...(await etcd()), sync: { leader, quorum: 1, standbys: ['a', 'c'], modRevision: '3' } });
  expect(await run(async () => ({ systemIdentifier: ID, inRecovery }), counting)).toEqual(expected);
});

it('neither stops nor removes anything where no copy could be made in its place', async () => {
  expect(await run(async () => ({ systemIdentifier: ID }), etcd, 'DATA_DIR_IN_THE_WAY')).toEqual(['check', 'DATA_DIR_IN_THE_WAY']);
});
