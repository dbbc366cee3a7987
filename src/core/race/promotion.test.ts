/** Who cannot be promoted stays out of the race, says why, and still has a vote. */
import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, peer, peers, pg, settings, view } from '../../../test/support/build.ts';
import { contextOf } from '../context.ts';
import { decide } from '../decide.ts';
import type { Memory, Observation } from '../model.ts';
import type { PeerFacts } from '../peer-facts.ts';
import { raceVerdict } from './race.ts';
import { unfit } from './successors.ts';

const full = 'the disk of pg_wal is full';
const stuck = { ...pg.standby(), promotionTrouble: full };
const verdict = (o: Observation, over: Partial<Memory> = {}) => raceVerdict(contextOf(o, memory(over)));

describe('a node that cannot be promoted', () => {
  it('does not take the key, whichever other members exist, and says why', () => {
    expect(verdict(observation({ pg: stuck, peers: peers() }))).toMatchObject({
      verdict: 'leave',
      because: `this node cannot be promoted: ${full}`,
    });
    expect(verdict(observation({ peers: peers() }))).toMatchObject({ verdict: 'take' });
  });

  it('gives back a key that it holds, instead of trying a promotion that would fail', () => {
    const o = observation({ view: view({ leaderName: 'a' }), pg: stuck });
    expect(decide(o, memory())).toMatchObject({ rule: 'standby.cannot-promote', effects: [{ kind: 'release-leader' }] });
    expect(decide({ ...o, pg: pg.standby() }, memory())).toMatchObject({ rule: 'standby.promote' });
  });

  const request = (leader: string | null) => ({ leader, candidate: 'a', scheduledAtMs: null, scheduledAt: null, modRevision: '7' });
  it('does not take the lead in a switchover; in an operator’s failover by name it tries', () => {
    expect(verdict(observation({ view: view({ failover: request('b') }), pg: stuck, peers: peers() }))).toMatchObject({ verdict: 'leave' });
    expect(verdict(observation({ view: view({ failover: request(null) }), pg: stuck, peers: peers() }))).toMatchObject({ verdict: 'take' });
    const forced = observation({ view: view({ leaderName: 'a', failover: request(null) }), pg: stuck });
    expect(decide(forced, memory()).rule).toBe('standby.promote');
  });

  it('leaves the key to nobody who may not lead by /sync', () => {
    const failing = { failures: { promote: { count: 3, lastAtMs: 0, message: full, code: null } } };
    const sync = { leader: 'a', quorum: 0, standbys: ['c'], modRevision: '8' };
    const members = ['a', 'b', 'c'].map((name) => member(name));
    const beside = (name: string) => {
      const scene = {
        view: view({ sync, members }),
        peers: peers(peer(name)),
        settings: settings('a', { dynamic: { synchronousMode: 'on' } }),
      };
      return verdict(observation(scene), failing);
    };
    expect(beside('c')).toMatchObject({ id: 'race.promotions-failing' });
    expect(beside('b')).toMatchObject({ verdict: 'take' });
  });

  it('is ahead of no member, gets no handover, and votes', () => {
    const sick = peer('b', { lsn: lsn(2000), promotionTrouble: full });
    expect(verdict(observation({ peers: peers(peer('b', { lsn: lsn(2000) })) }))).toMatchObject({ verdict: 'leave' });
    expect(verdict(observation({ peers: peers(sick) }))).toMatchObject({ verdict: 'take' });
    expect(unfit(sick, view({ leaderName: 'a' }), settings('a').dynamic)?.because).toBe(`cannot be promoted: ${full}`);
    const sync = { leader: 'c', quorum: 1, standbys: ['a', 'b'], modRevision: '3' };
    const quorum = settings('a', { dynamic: { synchronousMode: 'quorum' } });
    const voter = observation({ view: view({ sync }), settings: quorum, peers: peers(peer('b', { promotionTrouble: full })) });
    expect(verdict(voter)).toMatchObject({ verdict: 'take', because: expect.stringContaining('with 2 votes, 2 needed') });
  });
});

describe('after promotions that failed', () => {
  const failed = (count: number, agoMs: number): Partial<Memory> => ({
    failures: { promote: { count, lastAtMs: 100_000 - agoMs, message: 'no room' } },
    abstainUntilMs: 100_000 - agoMs + 30_000,
  });
  const o = (...others: PeerFacts[]) =>
    observation({ nowMs: 100_000, lease: { leaseId: 'lease-a', confirmedSentAtMs: 99_000, ttlSeconds: 30 }, peers: peers(...others) });

  it('a node waits for a lease, then leaves the key to the others for longer and longer', () => {
    const waitsSeconds = (count: number) =>
      [29, 59, 119, 239].filter((s) => verdict(o(peer('b')), failed(count, s * 1000)).verdict !== 'take').length;
    expect([1, 2, 3, 4, 5].map(waitsSeconds)).toEqual([1, 2, 3, 3, 3]);
    expect(verdict(o(peer('b')), failed(2, 50_000)).because).toBe(
      '2 promotions of this node failed in a row (no room): the leader key is left to b',
    );
  });

  it('a node does not wait when there is no other member', () => {
    expect(verdict(o(), failed(4, 29_000)).verdict).toBe('leave');
    expect(verdict(o(), failed(4, 31_000)).verdict).toBe('take');
    expect(verdict(o(peer('b', { promotionTrouble: full })), failed(4, 31_000)).verdict).toBe('take');
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

  it('the key is given back only once a server that may still be promoted is down', () => {
    const holds = observation({
      view: view({ leaderName: 'a', members: [member('a')] }),
      nowMs: 20_000,
      lease: { leaseId: 'lease-a', confirmedSentAtMs: 19_000, ttlSeconds: 30 },
    });
    const effects = (code: string) => {
      const failures = { promote: { count: 1, lastAtMs: 19_900, code, message: 'x' } };
      return decide(holds, memory({ failures, abstainUntilMs: 50_000 })).effects.map(({ kind }) => kind);
    };
    expect(effects('PROMOTE_FAILED')).toEqual(['release-leader']);
    expect(effects('PROMOTE_TIMEOUT')).toEqual(['demote-now', 'release-leader']);
    const paused = { ...holds, settings: settings('a', { dynamic: { pause: true } }) };
    const failures = { promote: { count: 1, lastAtMs: 19_900, code: 'PROMOTE_TIMEOUT', message: 'x' } };
    expect(decide(paused, memory({ failures, abstainUntilMs: 50_000 })).effects.map(({ kind }) => kind)).not.toContain('demote-now');
  });
});
