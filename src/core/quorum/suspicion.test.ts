import { describe, expect, it } from 'vitest';
import { member, memory, observation, peer, peers, type Scene, settings, view } from '../../../test/support/build.ts';
import { contextOf } from '../context.ts';
import { type Knocks, type LinkFacts, noLinks } from './link-facts.ts';
import { missesLeader, watched } from './suspicion.ts';

const NOW_MS = 10_000;
const members = ['a', 'b', 'c', 'd'].map((name) => member(name, { raw: { beats: 1 } }));
const cluster = view({ leaderName: 'b', members, sync: { leader: 'b', quorum: 1, standbys: ['a', 'c'], modRevision: '8' } });
const quorumMode = settings('a', { dynamic: { synchronousMode: 'quorum', suspectAfterMs: 1000 } });

const refused: Knocks = { agent: 'refused', postgres: 'refused', refusedTwice: true };
const silent: Knocks = { agent: 'silent', postgres: 'silent', refusedTwice: false };
const served: Knocks = { agent: 'silent', postgres: 'answered', refusedTwice: false };

/**
 * The last beat of b came `agoMs` ago; null: never. Listened to for a minute, unless told
 * otherwise.
 */
function at(agoMs: number | null, knocks: Knocks | null, over: Partial<LinkFacts> = {}, scene: Scene = {}) {
  const heard = agoMs === null ? null : { leader: 'b', atMs: NOW_MS - agoMs, lost: false };
  const links = { ...noLinks(NOW_MS - 60_000), heard, knocks, ...over };
  return contextOf(observation({ nowMs: NOW_MS, view: cluster, settings: quorumMode, links, ...scene }), memory());
}
const row = (...scene: Parameters<typeof at>) => watched(at(...scene))?.suspicion.id;

describe('a voter misses the leader', () => {
  it('at once where both ports have refused twice', () => {
    expect(row(50, refused)).toBe('leader.gone');
    expect(row(50, { ...refused, refusedTwice: false })).toBe('leader.heard');
  });

  it('after suspect_after, once PostgreSQL was knocked at in vain', () => {
    expect(row(1000, silent)).toBe('leader.silent');
    expect(row(999, silent)).toBe('leader.heard');
    expect(row(60_000, null)).toBe('leader.heard');
    expect(row(1000, { agent: 'answered', postgres: 'refused', refusedTwice: false })).toBe('leader.silent');
    expect(watched(at(1200, silent))?.suspicion.because).toBe('no beat from b for 1.2 s, and its PostgreSQL does not answer');
  });

  it('not while its PostgreSQL answers, however long the agent is silent', () => {
    expect(row(60_000, served)).toBe('leader.agent-away');
    expect(missesLeader(at(60_000, served))).toBe(false);
  });

  it('at once where it says itself that it cannot serve, in this term', () => {
    const heard = { leader: 'b', atMs: NOW_MS - 10, lost: false, resignedTerm: '5' };
    expect(row(null, null, { heard })).toBe('leader.resigned');
    expect(row(null, served, { heard })).toBe('leader.resigned');
    expect(row(null, null, { heard: { ...heard, resignedTerm: '4' } })).toBe('leader.heard');
    expect(row(null, null, { heard: { ...heard, leader: 'c' } })).toBe('leader.heard');
  });

  it('where it never heard it, from when it began to listen', () => {
    expect(row(null, silent, { watchingSinceMs: NOW_MS - 999 })).toBe('leader.heard');
    expect(row(null, silent, { watchingSinceMs: NOW_MS - 1000 })).toBe('leader.silent');
    // A beat of its former lead says nothing of this one.
    expect(row(5000, silent, { watchingSinceMs: NOW_MS - 999 })).toBe('leader.heard');
  });

  it('whatever beats came from another', () => {
    expect(row(null, silent, { heard: { leader: 'c', atMs: NOW_MS - 10, lost: false } })).toBe('leader.silent');
  });

  it('by its own evidence alone: that all others miss it does not count', () => {
    const others = peers(peer('c', { missesTerm: '5', fence: '5/8' }), peer('d', { missesTerm: '5' }));
    expect(missesLeader(at(50, null, {}, { peers: others }))).toBe(false);
    expect(missesLeader(at(1000, silent, {}, { peers: peers(peer('c'), peer('d')) }))).toBe(true);
  });
});

describe('nobody is watched', () => {
  it.each<[string, Scene]>([
    ['while the lease is the fence', { settings: settings('a') }],
    ['while etcd does not answer', { view: null }],
    ['while nobody leads', { view: { ...cluster, leader: null } }],
    ['by the leader itself', { view: { ...cluster, leader: { name: 'a', leaseId: 'lease-a', modRevision: '5' } } }],
  ])('%s', (_when, scene) => {
    expect(watched(at(60_000, refused, {}, scene))).toBeNull();
    expect(missesLeader(at(60_000, refused, {}, scene))).toBe(false);
  });
});

it('a member that is no voter has its own evidence too', () => {
  const only = { ...cluster, sync: { leader: 'b', quorum: 0, standbys: ['c'], modRevision: '8' } };
  expect(watched(at(1000, silent, {}, { view: only }))).toMatchObject({ isVoter: false, suspicion: { verdict: 'missed' } });
  expect(watched(at(1000, silent))?.isVoter).toBe(true);
});
