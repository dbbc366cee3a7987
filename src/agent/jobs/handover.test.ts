/** What is done, in which order, where the lead is given up in good order. */
import { describe, expect, it } from 'vitest';
import { pg, settings, view } from '../../../test/support/build.ts';
import { instantClock } from '../../../test/support/instant-clock.ts';
import { handover, type StopPorts } from './handover.ts';

type Facts = ReturnType<typeof pg.primary>;

async function handOver(before: Facts): Promise<readonly string[]> {
  const calls: string[] = [];
  const call = (name: string) => async () => void calls.push(name);
  const looks = [before, before];
  const ports = {
    settings: { current: () => settings('a'), local: () => settings('a').local },
    log: { info: () => {}, warning: () => {} },
    clock: instantClock({ nowMs: 1000 }),
    dcs: { read: async () => view({ leaderName: 'a' }) },
    pg: {
      observe: async () => (calls.includes('stop') ? pg.stopped() : (looks.shift() ?? before)),
      checkpoint: call('checkpoint'),
      endWalsenders: call('end walsenders'),
      stop: call('stop'),
    },
    watchdog: { disable: call('watchdog rests') },
    fence: { disarm: call('guard rests') },
    lease: { release: async () => calls.push('key') > 0 },
    stopping: () => {},
    leaving: () => {},
    announceStop: call('told'),
  } as unknown as StopPorts;
  await handover(ports, { kind: 'handover', action: 'switchover', candidate: 'b' }, new AbortController().signal);
  return calls;
}

describe('a handover', () => {
  it('stops PostgreSQL, lets watchdog and guard rest, and releases the key last', async () => {
    expect(await handOver(pg.primary())).toEqual(['checkpoint', 'stop', 'watchdog rests', 'guard rests', 'key', 'told']);
  });

  it('does the same for a primary that does not answer just now, without a checkpoint that might take for ever', async () => {
    const silent = pg.starting({ state: 'unresponsive', standbySignal: false });
    expect(await handOver(silent)).toEqual(['stop', 'watchdog rests', 'guard rests', 'key', 'told']);
  });

  it('releases no key where a standby runs, or the primary has died by itself', async () => {
    expect(await handOver(pg.starting({ state: 'unresponsive', standbySignal: true }))).toEqual(['stop', 'told']);
    expect(await handOver(pg.stopped())).toEqual(['stop', 'told']);
  });
});
