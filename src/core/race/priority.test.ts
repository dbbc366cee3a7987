/** At one position the member with the higher failover_priority leads first; and only at one. */
import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, peer, peers, pg, settings, view } from '../../../test/support/build.ts';
import { contextOf } from '../context.ts';
import type { Memory } from '../model.ts';
import type { PeerFacts } from '../peer-facts.ts';
import { raceVerdict } from './race.ts';
import { unfit } from './successors.ts';

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

it('a member that is ahead and keeps out of the race is waited for only where no votes make sure of what was acknowledged', () => {
  const ahead = peer('b', { lsn: lsn(HERE + 1), keepsOut: true });
  expect(race(ahead)).toMatchObject({ id: 'race.peer-ahead', verdict: 'leave' });
  const sync = { leader: 'c', quorum: 0, standbys: ['a', 'b'], modRevision: '7' };
  expect(race(ahead, {}, { sync }, 'quorum')).toMatchObject({ verdict: 'take' });
});

it('a leader hands over to a member that is maximum_lag_on_failover behind, and to none farther', () => {
  const { dynamic } = settings('a', { dynamic: { maximumLagOnFailoverBytes: 100 } });
  const around = view({ leaderName: 'a', status: { optime: lsn(HERE), slots: {}, retainSlots: [] } });
  const verdictAt = (at: number) => unfit(peer('b', { lsn: lsn(at) }), around, dynamic)?.id ?? null;
  expect([HERE, HERE - 100, HERE - 101].map(verdictAt)).toEqual([null, null, 'successor.too-far-behind']);
});
