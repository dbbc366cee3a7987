import { describe, expect, it } from 'vitest';
import { member, memory, observation, pg, settings, view } from '../../test/support/build.ts';
import { instantClock } from '../../test/support/instant-clock.ts';
import type { ClusterView } from '../core/cluster.ts';
import { decide } from '../core/decide.ts';
import type { Settings } from '../core/settings.ts';
import { type LeaveSyncPorts, leaveSync } from './leave-sync.ts';

const LOOP_WAIT_MS = 10_000;

/**
 * What etcd says at each look, the last of it for good; null: no answer. Timers end at once and
 * move the clock.
 */
function scene(looks: ReadonlyArray<ClusterView | null>, own: Settings = settings('b', { dynamic: { synchronousMode: 'on' } })) {
  const seen = { looks: 0, announcedAt: [] as number[], warnings: [] as string[], nowMs: 1000 };
  const abort = new AbortController();
  const ports: LeaveSyncPorts = {
    settings: { current: () => own },
    log: { warning: (message) => seen.warnings.push(message) },
    clock: instantClock(seen),
    dcs: {
      read: async () => {
        const said = looks[Math.min(seen.looks++, looks.length - 1)];
        if (said == null) throw new Error('no endpoint answers');
        return said;
      },
    },
  };
  const leave = () => leaveSync(ports, () => seen.announcedAt.push(seen.looks), abort.signal);
  return { seen, leave, abort };
}

const leader = { name: 'a', leaseId: '1', modRevision: '5' };
const members = [member('a', { role: 'primary' }), member('b'), member('c')];
const listing = (...standbys: string[]): ClusterView => ({
  ...view(),
  leader,
  members,
  sync: { leader: 'a', quorum: 0, standbys, modRevision: '3' },
});

describe('a standby that is about to stop', () => {
  it('asks to be let go while the leader counts on it, and goes once two looks no longer list it', async () => {
    const { seen, leave } = scene([listing('b'), listing('b'), listing('c'), listing('b'), listing('c')]);
    await leave();
    expect(seen).toMatchObject({ announcedAt: [1], looks: 6, warnings: [] });
  });

  it('reads /sync without regard to case', async () => {
    const { seen, leave } = scene([listing('B'), listing('c')]);
    await leave();
    expect(seen).toMatchObject({ announcedAt: [1], looks: 3 });
  });

  it.each([
    ['it is not listed', listing('c')],
    ['nobody leads', { ...listing('b'), leader: null }],
    ['the list is a former leader’s', { ...listing('b'), leader: { ...leader, name: 'c' } }],
    [
      'the leader is stopping itself',
      { ...listing('b'), members: [member('a', { role: 'primary', state: 'stopping' }), ...members.slice(1)] },
    ],
    [
      'it leads itself',
      { ...listing('b'), leader: { ...leader, name: 'b' }, sync: { leader: 'b', quorum: 0, standbys: ['b'], modRevision: '3' } },
    ],
    ['etcd does not answer', null],
  ])('goes at once when %s', async (_, said) => {
    const { seen, leave } = scene([said]);
    await leave();
    expect(seen).toMatchObject({ announcedAt: [], looks: 1, warnings: [] });
  });

  it.each([
    ['without synchronous mode', settings('b')],
    ['as a member that is never synchronous', settings('b', { dynamic: { synchronousMode: 'on' }, local: { tags: { nosync: true } } })],
  ])('asks no leader %s', async (_, own) => {
    const { seen, leave } = scene([listing('b')], own);
    await leave();
    expect(seen.looks).toBe(0);
  });

  it('waits two rounds of the leader, then logs what that costs', async () => {
    const { seen, leave } = scene([listing('b')]);
    await leave();
    expect(seen.announcedAt).toEqual([1]);
    expect(seen.warnings).toHaveLength(1);
    expect(seen.nowMs - 1000).toBeGreaterThanOrEqual(2 * LOOP_WAIT_MS);
    expect(seen.nowMs - 1000).toBeLessThan(2 * LOOP_WAIT_MS + 1000);
  });

  it('stops asking when its job is cancelled', async () => {
    const { seen, leave, abort } = scene([listing('b')]);
    const done = leave();
    abort.abort();
    await done;
    expect(seen.warnings).toEqual([]);
    expect(seen.looks).toBeLessThan(3);
  });
});

describe('its leader', () => {
  const rounds = (synchronousMode: 'on' | 'quorum' | 'off') =>
    decide(
      observation({ view: view({ leaderName: 'a' }), settings: settings('a', { dynamic: { synchronousMode } }), pg: pg.primary() }),
      memory(),
    );

  it('looks as soon as a member says something new, where commits depend on members', () => {
    expect(rounds('on').watchMembers).toBe(true);
    expect(rounds('quorum').watchMembers).toBe(true);
    expect(rounds('off').watchMembers).toBe(false);
  });
});
