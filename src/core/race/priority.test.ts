/** At one position the member with the higher failover_priority leads first; and only at one. */
import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, peer, peers, pg, settings, view } from '../../../test/support/build.ts';
import { contextOf } from '../context.ts';
import type { Memory } from '../model.ts';
import type { PeerFacts } from '../peer-facts.ts';
import { raceVerdict } from './race.ts';
import { possibleSuccessors, unfit } from './successors.ts';

const HERE = 1000;
const own = pg.standby({ receiveLsn: lsn(HERE) });
const preferred = (over: Partial<PeerFacts> = {}) => peer('b', { lsn: lsn(HERE), tags: { failover_priority: 2 }, ...over });

function race(other: PeerFacts, over: Partial<Memory> = {}, around: Parameters<typeof view>[0] = {}, mode: 'off' | 'quorum' = 'off') {
  const mine = settings('a', { local: { tags: { failover_priority: 1 } }, dynamic: { synchronousMode: mode } });
  const seen = view({ members: [member('a'), member('b'), member('c')], ...around });
  return raceVerdict(contextOf(observation({ view: seen, pg: own, peers: peers(other), settings: mine }), memory(over)));
}

describe('a member with a higher failover_priority', () => {
  it('leads first at the same position', () => {
    expect(race(preferred())).toMatchObject({ id: 'race.peer-priority', verdict: 'leave' });
  });

  it.each([
    ['is behind', { lsn: lsn(HERE - 1) }],
    ['may not lead', { tags: { failover_priority: 2, nofailover: true } }],
    ['has no working watchdog', { watchdogFailed: true }],
    ['cannot be promoted', { promotionTrouble: 'its disk is full' }],
    ['keeps out of the race for now', { keepsOut: true }],
    ['is not up', { state: 'starting' }],
    ['has the same priority', { tags: { failover_priority: 1 } }],
    ['has a lower priority than it has', { tags: { failover_priority: 0 } }],
  ] as const)('is not waited for when it %s', (_why, over) => {
    expect(race(preferred(over))).toMatchObject({ verdict: 'take' });
  });

  it('is not waited for when it led last, by memory or by /sync: it has given the lead up', () => {
    expect(race(preferred(), { lastLeader: 'b' })).toMatchObject({ verdict: 'take' });
    const sync = { leader: 'b', quorum: 0, standbys: ['a'], modRevision: '7' };
    expect(race(preferred(), {}, { sync }, 'quorum')).toMatchObject({ verdict: 'take' });
  });

  it('is not waited for when votes are counted and it has none', () => {
    const sync = { leader: 'c', quorum: 0, standbys: ['a'], modRevision: '7' };
    expect(race(preferred(), {}, { sync }, 'quorum')).toMatchObject({ verdict: 'take' });
    const voter = { ...sync, standbys: ['a', 'b'] };
    expect(race(preferred(), {}, { sync: voter }, 'quorum')).toMatchObject({ id: 'race.peer-priority', verdict: 'leave' });
  });
});

it('a leader does not hand over to a member that keeps out of the race', () => {
  const { dynamic } = settings('a');
  expect(unfit(peer('b', { keepsOut: true }), view({ leaderName: 'a' }), dynamic)?.id).toBe('successor.keeps-out');
});

it('a member that keeps out is no successor, and still has its vote', () => {
  const mine = settings('a', { dynamic: { synchronousMode: 'quorum' } });
  const sync = { leader: 'a', quorum: 1, standbys: ['b', 'c'], modRevision: '7' };
  const seen = view({ leaderName: 'a', members: [member('a'), member('b'), member('c')], sync });
  const among = (...others: PeerFacts[]) =>
    possibleSuccessors(
      contextOf(observation({ view: seen, pg: pg.primary(), peers: peers(...others), settings: mine }), memory()),
      seen,
      {},
    );
  expect(among(peer('b', { keepsOut: true }), peer('c'))).toEqual(['c']);
  expect(among(peer('b', { watchdogFailed: true }), peer('c'))).toEqual(['c']);
  expect(among(peer('b', { restored: true }), peer('c'))).toEqual([]);
  expect(among(peer('c'))).toEqual([]);
});

it('a member that is ahead and keeps out of the race is waited for only where no votes make sure of what was acknowledged', () => {
  const ahead = peer('b', { lsn: lsn(HERE + 1), keepsOut: true });
  expect(race(ahead)).toMatchObject({ id: 'race.peer-ahead', verdict: 'leave' });
  const sync = { leader: 'c', quorum: 0, standbys: ['a', 'b'], modRevision: '7' };
  expect(race(ahead, {}, { sync }, 'quorum')).toMatchObject({ verdict: 'take' });
});

describe('a candidate that the operator named', () => {
  const failover = { leader: 'c', candidate: 'b', scheduledAtMs: null, scheduledAt: null, modRevision: '9' };
  const sync = { leader: 'c', quorum: 0, standbys: ['a', 'b'], modRevision: '7' };
  const waited = (other: Partial<PeerFacts>) => race(peer('b', { lsn: lsn(HERE), ...other }), {}, { failover, sync }, 'quorum').id;

  it('is waited for, unless it cannot take the key: it keeps out, or has less than the votes ask for', () => {
    expect(waited({})).toBe('race.candidate-first');
    expect(waited({ lsn: lsn(HERE + 1) })).toBe('race.candidate-first');
    expect(waited({ keepsOut: true })).toBe('race.enough-votes');
    expect(waited({ lsn: lsn(HERE - 1) })).toBe('race.enough-votes');
    const forced = { failover: { ...failover, leader: null }, sync };
    expect(race(peer('b', { lsn: lsn(HERE - 1) }), {}, forced, 'quorum').id).toBe('race.candidate-first');
  });

  it('is waited for one ttl from when the last leader was missed, also while its key is still there', () => {
    const since = (missesLeaderSinceMs: number) =>
      race(peer('b', { lsn: lsn(HERE) }), { leaderlessSinceMs: null, missesLeaderSinceMs }, { failover, sync }, 'quorum').id;
    expect(since(0)).toBe('race.candidate-first');
    expect(since(-40_000)).toBe('race.enough-votes');
  });
});

it('a leader hands over to a member that is maximum_lag_on_failover behind, and to none farther', () => {
  const { dynamic } = settings('a', { dynamic: { maximumLagOnFailoverBytes: 100 } });
  const around = view({ leaderName: 'a', status: { optime: lsn(HERE), slots: {}, retainSlots: [] } });
  const verdictAt = (at: number) => unfit(peer('b', { lsn: lsn(at) }), around, dynamic)?.id ?? null;
  expect([HERE, HERE - 100, HERE - 101].map(verdictAt)).toEqual([null, null, 'successor.too-far-behind']);
});

it('a leader that cannot go on hands over to a voter, however far behind it is', () => {
  const successors = (mode: 'off' | 'on' | 'quorum', despiteLag: boolean) => {
    const sync = { leader: 'a', quorum: mode === 'on' ? 0 : 1, standbys: ['b', 'c'], modRevision: '7' };
    const given = { dynamic: { synchronousMode: mode, maximumLagOnFailoverBytes: 100 } };
    const o = observation({
      settings: settings('a', given),
      view: view({ leaderName: 'a', sync: mode === 'off' ? null : sync, status: { optime: lsn(HERE), slots: {}, retainSlots: [] } }),
      peers: peers(peer('b', { lsn: lsn(HERE - 500) }), peer('c', { lsn: lsn(HERE - 600) })),
    });
    const c = contextOf(o, memory());
    return possibleSuccessors(c, c.view!, { despiteLag });
  };
  expect([successors('off', true), successors('on', false), successors('quorum', false)]).toEqual([[], [], []]);
  expect([successors('on', true), successors('quorum', true)]).toEqual([
    ['b', 'c'],
    ['b', 'c'],
  ]);
});
