/** Who cannot be promoted stays out of the race, says why, and still has a vote. */
import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, peer, peers, pg, settings, view } from '../../test/support/build.ts';
import { raceVerdict, unfit } from './candidates.ts';
import { contextOf } from './context.ts';
import { decide } from './decide.ts';
import type { Memory, Observation } from './model.ts';
import type { PeerFacts } from './peer-facts.ts';

const full = 'the disk of pg_wal is full';
const stuck = { ...pg.standby(), promotionTrouble: full };
const verdict = (o: Observation, over: Partial<Memory> = {}) => raceVerdict(contextOf(o, memory(over)));

describe('a node that cannot be promoted', () => {
  it('does not take the key, whoever else there is, and says why', () => {
    expect(verdict(observation({ pg: stuck, peers: peers() }))).toEqual({ win: false, because: `this node cannot be promoted: ${full}` });
    expect(verdict(observation({ peers: peers() }))).toMatchObject({ win: true });
  });

  it('gives back a key that it holds, instead of a promotion that would fail', () => {
    const o = observation({ view: view({ leaderName: 'a' }), pg: stuck });
    expect(decide(o, memory())).toMatchObject({ rule: 'standby.cannot-promote', effects: [{ kind: 'release-leader' }] });
    expect(decide({ ...o, pg: pg.standby() }, memory())).toMatchObject({ rule: 'standby.promote' });
  });

  const wish = (leader: string | null) => ({ leader, candidate: 'a', scheduledAtMs: null, scheduledAt: null, modRevision: '7' });
  it('does not follow a switchover to it either; an operator’s failover by name it tries', () => {
    expect(verdict(observation({ view: view({ failover: wish('b') }), pg: stuck, peers: peers() }))).toMatchObject({ win: false });
    expect(verdict(observation({ view: view({ failover: wish(null) }), pg: stuck, peers: peers() }))).toMatchObject({ win: true });
    const forced = observation({ view: view({ leaderName: 'a', failover: wish(null) }), pg: stuck });
    expect(decide(forced, memory()).rule).toBe('standby.promote');
  });

  it('is ahead of nobody, is handed nothing, and votes', () => {
    const sick = peer('b', { lsn: lsn(2000), promotionTrouble: full });
    expect(verdict(observation({ peers: peers(peer('b', { lsn: lsn(2000) })) }))).toMatchObject({ win: false });
    expect(verdict(observation({ peers: peers(sick) }))).toMatchObject({ win: true });
    expect(unfit(sick, view({ leaderName: 'a' }), settings('a').dynamic)).toBe(`cannot be promoted: ${full}`);
    const sync = { leader: 'c', quorum: 1, standbys: ['a', 'b'], modRevision: '3' };
    const quorum = settings('a', { dynamic: { synchronousMode: 'quorum' } });
    const voter = observation({ view: view({ sync }), settings: quorum, peers: peers(peer('b', { promotionTrouble: full })) });
    expect(verdict(voter)).toMatchObject({ win: true, because: expect.stringContaining('with 2 votes, 2 needed') });
  });
});

describe('after promotions that failed', () => {
  const failed = (count: number, agoMs: number): Partial<Memory> => ({
    failures: { promote: { count, lastAtMs: 100_000 - agoMs, message: 'no room' } },
    abstainUntilMs: 100_000 - agoMs + 30_000,
  });
  const o = (...others: PeerFacts[]) =>
    observation({ nowMs: 100_000, lease: { leaseId: 'lease-a', confirmedSentAtMs: 99_000, ttlSeconds: 30 }, peers: peers(...others) });

  it('a node waits for a lease, then leaves the key to who could have it for longer and longer', () => {
    const waitsSeconds = (count: number) => [29, 59, 119, 239].filter((s) => !verdict(o(peer('b')), failed(count, s * 1000)).win).length;
    expect([1, 2, 3, 4, 5].map(waitsSeconds)).toEqual([1, 2, 3, 3, 3]);
    expect(verdict(o(peer('b')), failed(2, 50_000)).because).toBe(
      '2 promotions of this node failed in a row (no room): the leader key is left to b',
    );
  });

  it('but not when there is nobody', () => {
    expect(verdict(o(), failed(4, 29_000)).win).toBe(false);
    expect(verdict(o(), failed(4, 31_000)).win).toBe(true);
    expect(verdict(o(peer('b', { promotionTrouble: full })), failed(4, 31_000)).win).toBe(true);
  });

  it('the key is given back for as long as it waits, not only for a second', () => {
    const holds = observation({
      view: view({ leaderName: 'a', members: [member('a')] }),
      nowMs: 20_000,
      lease: { leaseId: 'lease-a', confirmedSentAtMs: 19_000, ttlSeconds: 30 },
    });
    const before = memory({ failures: { promote: { count: 1, lastAtMs: 10_000, message: 'x' } }, abstainUntilMs: 40_000 });
    expect(decide(holds, before).rule).toBe('standby.promotion-failed');
  });
});
