/** In which order a restart does what it does. */
import { describe, expect, it } from 'vitest';
import { pg, settings, view } from '../../../test/support/build.ts';
import { instantClock } from '../../../test/support/instant-clock.ts';
import type { ServerRole } from '../../core/effects.ts';
import { type RestartPorts, restart } from './start.ts';

async function restarted(role: ServerRole, calledOff = false): Promise<readonly string[]> {
  const calls: string[] = [];
  const abort = new AbortController();
  const call = (name: string) => async () => void calls.push(name);
  const ports = {
    settings: { current: () => settings('a') },
    log: { info: () => {}, warning: () => {} },
    clock: instantClock({ nowMs: 1000 }),
    dcs: { read: async () => view({ leaderName: 'a' }) },
    pg: {
      observe: async () => pg.primary(),
      checkpoint: async () => {
        calls.push('checkpoint');
        if (calledOff) abort.abort();
      },
      endWalsenders: call('end walsenders'),
      stop: call('stop'),
      start: async () => ({ notWritten: [calls.push('start')] }),
    },
    fence: { arm: call('guard armed'), disarm: async () => {} },
    stopping: () => calls.push('no leader for clients any more'),
    leaving: () => {},
    configApplied: () => {},
  } as unknown as RestartPorts;
  const running = restart(ports, { kind: 'restart', role, why: 'restarting', timeoutMs: null }, abort.signal);
  if (calledOff) await expect(running).rejects.toThrow();
  else await running;
  return calls;
}

describe('a restart', () => {
  it('of a primary writes its checkpoint while clients are still led to it', async () => {
    expect(await restarted({ kind: 'primary', syncNames: null })).toEqual([
      'checkpoint',
      'no leader for clients any more',
      'stop',
      'guard armed',
      'start',
    ]);
  });

  it('that is called off during its checkpoint leaves PostgreSQL as it is', async () => {
    expect(await restarted({ kind: 'primary', syncNames: null }, true)).toEqual(['checkpoint']);
  });

  it('of a standby needs none', async () => {
    expect(await restarted({ kind: 'standby', source: null })).toEqual(['no leader for clients any more', 'stop', 'start']);
  });
});
