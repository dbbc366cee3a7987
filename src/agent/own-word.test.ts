import { describe, expect, it, test } from 'vitest';
import { member, memory, observation, pg, type Scene, settings, view } from '../../test/support/build.ts';
import { contextOf } from '../core/context.ts';
import type { ReceiverFacts } from '../core/postgres-facts.ts';
import { noLinks } from '../core/quorum/link-facts.ts';
import { ownWord } from './own-word.ts';

test('a member that somebody opened for writes by hand says so, on whichever timeline', () => {
  const told = (over: Partial<ReturnType<typeof memory>>) => ownWord(pg.standby(), null, memory(over)).strayed;
  expect(told({})).toBe(false);
  expect(told({ strayed: true })).toBe(true);
  expect(told({ openedByHand: true })).toBe(true);
});

test('a standby that keeps out of the race says so, for as long as it does', () => {
  const standby = observation({ nowMs: 20_000, view: view({ leaderName: 'b' }), pg: pg.standby() });
  const told = (abstainUntilMs: number | null) => {
    const m = memory({ abstainUntilMs });
    return ownWord(standby.pg, contextOf(standby, m), m).keepsOut;
  };
  expect([null, 20_000, 20_001].map(told)).toEqual([false, false, true]);
});

const NOW_MS = 10_000;
const members = ['a', 'b', 'c'].map((name) => member(name, { raw: { beats: 1 } }));
const cluster = view({ leaderName: 'b', members, sync: { leader: 'b', quorum: 1, standbys: ['a', 'c'], modRevision: '8' } });
const quorumMode = settings('a', { dynamic: { synchronousMode: 'quorum' } });
const fence = { leader: 'b', term: '5', sync: '8' };

/** What voter a says. */
function word(scene: Scene = {}) {
  const o = observation({ nowMs: NOW_MS, view: cluster, settings: quorumMode, links: noLinks(0), ...scene });
  return ownWord(o.pg, contextOf(o, memory()), memory());
}

describe('a voter tells the others that it misses the leader', () => {
  const silent = { agent: 'silent', postgres: 'silent', refusedTwice: false } as const;

  it('of which term', () => {
    expect(word({ links: { ...noLinks(0), knocks: silent } }).missesTerm).toBe('5');
    expect(word({ links: { ...noLinks(0), watchingSinceMs: NOW_MS - 500, knocks: silent } })).not.toHaveProperty('missesTerm');
  });

  it('not while the lease is the fence', () => {
    expect(word({ settings: settings('a'), links: { ...noLinks(0), knocks: silent } })).not.toHaveProperty('missesTerm');
  });
});

test('a member that the leader’s machine refuses says so, where that counts', () => {
  const refused = { agent: 'refused', postgres: 'refused', refusedTwice: true } as const;
  const links = { ...noLinks(0), knocks: refused };
  const asynchronous = { view: { ...cluster, sync: null }, links };
  expect(word({ ...asynchronous, settings: settings('a', { dynamic: { failoverOnRefusal: true } }) }).refusedTerm).toBe('5');
  expect(word({ ...asynchronous, settings: settings('a') })).not.toHaveProperty('refusedTerm');
  expect(word({ links })).not.toHaveProperty('refusedTerm');
});

describe('a voter tells the others what it has promised', () => {
  const promised = (sql: Parameters<typeof pg.standby>[0] = {}, scene: Scene = {}) => word({ pg: { ...pg.standby(sql), fence }, ...scene });

  it('with a position that is final: it is not attached to anybody then', () => {
    expect(promised()).toMatchObject({ fence: '5/8', attached: false });
    expect(word().attached).toBe(true);
  });

  it.each<[string, Parameters<typeof pg.standby>[0]]>([
    ['its PostgreSQL is told to stream', { primaryConninfo: 'host=b' }],
    ['its PostgreSQL streams', { receiver: { status: 'streaming' } as ReceiverFacts }],
    ['it replays what is on its own disk', { replaying: true }],
  ])('not while %s', (_when, sql) => {
    expect(promised(sql)).not.toHaveProperty('fence');
    expect(promised(sql).attached).toBe(true);
  });

  it('not once the leader key or /sync is another, or cannot be read', () => {
    const later = { ...cluster, sync: { leader: 'b', quorum: 1, standbys: ['a', 'c'], modRevision: '11' } };
    expect(promised({}, { view: later })).not.toHaveProperty('fence');
    expect(promised({}, { view: null })).not.toHaveProperty('fence');
  });

  it('nothing where the mark cannot be read, or PostgreSQL does not run as a standby', () => {
    expect(word({ pg: { ...pg.standby(), fence: 'unreadable' } })).not.toHaveProperty('fence');
    expect(word({ pg: { ...pg.primary(), fence } })).not.toHaveProperty('fence');
    expect(word({ pg: { ...pg.stopped(), fence } })).not.toHaveProperty('fence');
  });
});

describe('a voter that has vouched', () => {
  const unlocked = { ...cluster, leader: null };
  const at = (vouchedUntilMs: number, sinceMs = 0) =>
    word({ view: unlocked, pg: pg.standby(), links: { ...noLinks(sinceMs), vouched: { leader: 'b', untilMs: vouchedUntilMs } } });

  it('says so until its word is over', () => {
    expect([at(NOW_MS).vouchesFor, at(NOW_MS + 1).vouchesFor]).toEqual([undefined, 'b']);
  });

  it('is attached for as long, and gives no vote, though nothing streams', () => {
    expect([at(NOW_MS).attached, at(NOW_MS + 1).attached]).toEqual([false, true]);
  });

  it('is attached for as long as its agent before may have vouched', () => {
    const fresh = at(Number.NEGATIVE_INFINITY, NOW_MS - 2999);
    expect([fresh.attached, fresh.vouchesFor]).toEqual([true, undefined]);
    expect(at(Number.NEGATIVE_INFINITY, NOW_MS - 3000).attached).toBe(false);
  });
});
