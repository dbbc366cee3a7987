/** Who is found to be gone before a primary is stopped, and what is done about it. */
import { describe, expect, it } from 'vitest';
import { lsn, pg, settings, view, walsender } from '../../../test/support/build.ts';
import { instantClock } from '../../../test/support/instant-clock.ts';
import type { PostgresFacts, WalsenderFacts } from '../../core/postgres-facts.ts';
import { nobodyTakesOver, planFor, type SilentPorts, withoutTheSilent } from './silent-standbys.ts';

const behind = (name: string, pid: number, over: Partial<WalsenderFacts> = {}) => walsender(name, { pid, flushLsn: lsn(900), ...over });
const primary = (...replication: WalsenderFacts[]) => pg.primary({ replication });

/**
 * What PostgreSQL says at each look, the last of it for good. Timers end at once and move the
 * clock.
 */
function scene(looks: readonly PostgresFacts[], etcd = true) {
  const seen = { nowMs: 1000, looks: 0, ended: [] as number[], said: [] as string[] };
  const abort = new AbortController();
  const ports: SilentPorts = {
    settings: { current: () => settings('a') },
    log: { info: (text: string) => seen.said.push(text), warning: (text: string) => seen.said.push(text) },
    clock: instantClock(seen),
    dcs: {
      read: async () => {
        if (!etcd) throw new Error('no endpoint answers');
        return view({ leaderName: 'a' });
      },
    },
    pg: {
      observe: async () => looks[Math.min(seen.looks++, looks.length - 1)]!,
      endWalsenders: async (pids) => void seen.ended.push(...pids),
    },
  };
  return { seen, ports, abort };
}

const handover = (action: 'switchover' | 'failover' | 'shutdown', candidate: string | null = null) =>
  ({ kind: 'handover', action, candidate }) as const;

describe('before a primary is stopped', () => {
  it('the agent does not wait while all standbys confirm', async () => {
    const { seen, ports, abort } = scene([primary(behind('b', 1), behind('c', 2)), primary(walsender('b'), walsender('c', { pid: 2 }))]);
    expect(await withoutTheSilent(ports, planFor(ports.settings, handover('switchover', 'b')), abort.signal)).toEqual({
      successors: ['b'],
    });
    expect(seen).toMatchObject({ nowMs: 1000, ended: [], said: [] });
  });

  it('the agent cuts off a standby that is silent for three seconds, if a successor is not silent', async () => {
    const { seen, ports, abort } = scene([primary(behind('b', 1), behind('c', 2)), primary(walsender('b'), behind('c', 2))]);
    expect(await withoutTheSilent(ports, planFor(ports.settings, handover('shutdown')), abort.signal)).toEqual({ successors: ['b', 'c'] });
    expect(seen).toMatchObject({ nowMs: 4000, ended: [2], said: ['c: silent for 3 s, so the stop does not wait for them'] });
  });

  it('the agent calls off a switchover whose candidate is silent', async () => {
    const { seen, ports, abort } = scene([primary(behind('b', 1), walsender('c', { pid: 2 }))]);
    const refused = withoutTheSilent(ports, planFor(ports.settings, handover('switchover', 'b')), abort.signal);
    await expect(refused).rejects.toMatchObject({
      code: 'SUCCESSORS_SILENT',
      message: expect.stringMatching(/^b has confirmed no WAL for 3 s/),
    });
    expect(seen.ended).toEqual([]);
  });

  it.each(['failover', 'shutdown'] as const)('the agent does not call off %s, and cuts no standby off', async (action) => {
    const { seen, ports, abort } = scene([primary(behind('b', 1))]);
    expect(await withoutTheSilent(ports, planFor(ports.settings, handover(action, 'b')), abort.signal)).toEqual({ successors: ['b'] });
    expect(seen.ended).toEqual([]);
  });

  it('a restart needs no successor', async () => {
    const { seen, ports, abort } = scene([primary(behind('b', 1), behind('c', 2))]);
    expect(await withoutTheSilent(ports, nobodyTakesOver, abort.signal)).toEqual({ successors: [] });
    expect(seen.ended).toEqual([1, 2]);
  });

  it('an unanswered question makes the stop as slow as PostgreSQL, and no slower', async () => {
    const { seen, ports, abort } = scene([primary(behind('b', 1))], false);
    expect(await withoutTheSilent(ports, nobodyTakesOver, abort.signal)).toEqual({});
    expect(seen).toMatchObject({ nowMs: 1000, ended: [] });
    const silent = scene([pg.starting()]);
    expect(await withoutTheSilent(silent.ports, nobodyTakesOver, silent.abort.signal)).toEqual({ successors: [] });
    expect(silent.seen).toMatchObject({ nowMs: 1000, ended: [] });
  });

  it('a job that was called off does not wait, and cuts no standby off', async () => {
    const { seen, ports, abort } = scene([primary(behind('b', 1))]);
    abort.abort();
    expect(await withoutTheSilent(ports, nobodyTakesOver, abort.signal)).toEqual({ successors: [] });
    expect(seen).toMatchObject({ nowMs: 1000, ended: [] });
  });
});
