/** In which order a restart does what it does. */
import { describe, expect, it } from 'vitest';
import { pg, settings, view } from '../../../test/support/build.ts';
import { instantClock } from '../../../test/support/instant-clock.ts';
import type { ServerRole } from '../../core/effects.ts';
import { type RestartPorts, type RetargetPorts, restart, retarget } from './start.ts';

async function restarted(role: ServerRole, calledOff = false, timeline: number | null = null): Promise<readonly string[]> {
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
      forgetTimelines: async (after: number) => [calls.push(`forget what is later than ${after}`)],
      start: async () => ({ notWritten: [calls.push('start')] }),
    },
    fence: { arm: call('guard armed'), disarm: async () => {} },
    stopping: () => calls.push('no leader for clients any more'),
    leaving: () => {},
    configApplied: () => {},
  } as unknown as RestartPorts & RetargetPorts;
  const running =
    timeline === null
      ? restart(ports, { kind: 'restart', role, why: 'restarting', timeoutMs: null }, abort.signal)
      : retarget(ports, { kind: 'retarget', role, timeline }, abort.signal);
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

  it('to follow the timeline of the leader removes the others while PostgreSQL is down', async () => {
    expect(await restarted({ kind: 'standby', source: null }, false, 2)).toEqual([
      'no leader for clients any more',
      'stop',
      'forget what is later than 2',
      'start',
    ]);
  });
});
