import { describe, expect, it } from 'vitest';
import { type Scene as Given, lsn, member, memory, observation, peer, peers, pg, settings, view } from '../../test/support/build.ts';
import { contextOf } from './context.ts';
import { decide } from './decide.ts';
import { failsafeKey, failsafeMembersOnly, membersToAsk, refusesFailsafe } from './failsafe.ts';
import { noLinks } from './quorum/link-facts.ts';

const url = (name: string) => member(name).apiUrl ?? '';
const key = (...names: readonly string[]) => ({ map: Object.fromEntries(names.map((name) => [name, url(name)])), modRevision: '7' });
const ALL = key('a', 'b', 'c');
const on = settings('a', { dynamic: { failsafeMode: true } });
const NOW_MS = 10_000;

/** Member `a`, a standby while nobody leads; `c` led. */
function race(given: Given & { readonly failsafe?: ReturnType<typeof key> | null } = {}) {
  const { failsafe = ALL, ...scene } = given;
  const o = observation({
    settings: on,
    view: view({ failsafe }),
    pg: pg.standby({ receiveLsn: lsn(1000) }),
    peers: peers(peer('b')),
    ...scene,
  });
  return decide(o, memory({ role: 'replica' }));
}
const agreedWith = (leader: string, untilMs = NOW_MS + 1) => ({ ...noLinks(Number.NEGATIVE_INFINITY), agreed: { leader, untilMs } });
const takes = (decision: ReturnType<typeof race>) => decision.effects.some(({ kind }) => kind === 'acquire-leader');

describe('a member that has agreed', () => {
  it('does not take the key either when somebody has promoted it by hand', () => {
    const byHand = (given: Given) => race({ pg: pg.primary({ timeline: 2 }), ...given });
    expect(byHand({ links: agreedWith('c') }).rule).toBe('primary.gave-its-word');
    expect(byHand({ links: { ...noLinks(0), vouched: { leader: 'c', untilMs: NOW_MS + 1 } } }).rule).toBe('primary.gave-its-word');
    expect(byHand({ peers: peers(peer('b', { failsafe: 'c' })) }).rule).toBe('primary.gave-its-word');
    expect(takes(byHand({ peers: peers(peer('b', { failsafe: 'a' })) }))).toBe(true);
    expect(takes(byHand({}))).toBe(true);
  });

  it('nor outside the failsafe map, until each member in the map says that it does not lead', () => {
    const byHand = (...answers: Parameters<typeof peers>) =>
      race({ pg: pg.primary({ timeline: 2 }), failsafe: key('b', 'c'), peers: peers(...answers) });
    expect(byHand(peer('b'))).toMatchObject({ rule: 'primary.gave-its-word', because: expect.stringContaining('c may go on') });
    expect(takes(byHand(peer('b'), peer('c')))).toBe(true);
  });

  it('nor in a pause, in which it goes on all the same', () => {
    const paused = settings('a', { dynamic: { failsafeMode: true, pause: true } });
    const byHand = (...answers: Parameters<typeof peers>) =>
      race({ settings: paused, pg: pg.primary({ timeline: 2 }), failsafe: key('b', 'c'), peers: peers(...answers) });
    expect(takes(byHand(peer('b')))).toBe(false);
    expect(byHand(peer('b')).effects.map(({ kind }) => kind)).not.toContain('demote-now');
    expect(byHand(peer('b'), peer('c')).rule).toBe('paused.primary-unlocked');
    expect(takes(byHand(peer('b', { vouchesFor: 'c' }), peer('c')))).toBe(false);
  });

  it('nor when another voter has vouched for a leader, unless that leader is this node', () => {
    const byHand = (leader: string) => race({ pg: pg.primary({ timeline: 2 }), peers: peers(peer('b', { vouchesFor: leader })) });
    expect(byHand('c')).toMatchObject({ rule: 'primary.gave-its-word', because: expect.stringContaining('c may go on') });
    expect(takes(byHand('A'))).toBe(true);
  });

  it('takes no lead until its word is over, whoever else answers', () => {
    expect(race({ links: agreedWith('c') })).toMatchObject({ rule: 'race.failsafe', steps: [] });
    expect(takes(race({ links: agreedWith('c', NOW_MS) }))).toBe(true);
    expect(takes(race())).toBe(true);
  });

  it('may once the leader itself says that it is a standby, and does not go on', () => {
    expect(takes(race({ links: agreedWith('c'), peers: peers(peer('b'), peer('c')) }))).toBe(true);
    expect(race({ links: agreedWith('c'), peers: peers(peer('b'), peer('c', { failsafe: 'c' })) }).rule).toBe('race.failsafe');
    expect(race({ links: agreedWith('c'), peers: peers(peer('b'), peer('c', { inRecovery: false })) }).rule).toBe('race.failsafe');
  });

  it('keeps others from it that it answers', () => {
    expect(race({ peers: peers(peer('b', { failsafe: 'c' })) }).rule).toBe('race.others-failsafe');
    expect(takes(race({ peers: peers(peer('b', { failsafe: 'a' })) }))).toBe(true);
    expect(takes(race({ peers: peers(peer('b', { failsafe: 'c' }), peer('c')) }))).toBe(true);
  });

  it('gives a leader key back that it has after all', () => {
    const decision = race({ view: view({ leaderName: 'a', failsafe: ALL }), links: agreedWith('c') });
    expect(decision).toMatchObject({ rule: 'standby.failsafe', effects: [{ kind: 'release-leader' }] });
  });
});

describe('the agent after one that may have agreed', () => {
  const started = (agoMs: number) => noLinks(NOW_MS - agoMs);

  it('waits for one ttl, unless each member of the map says that it does not lead', () => {
    expect(race({ links: started(1) }).rule).toBe('race.failsafe-before');
    expect(race({ links: started(29_999) }).rule).toBe('race.failsafe-before');
    expect(takes(race({ links: started(30_000) }))).toBe(true);
    expect(takes(race({ links: started(1), peers: peers(peer('b'), peer('c')) }))).toBe(true);
  });

  it('and does not where failsafe mode is off, or nobody could have asked it', () => {
    expect(takes(race({ links: started(1), settings: settings('a') }))).toBe(true);
    expect(takes(race({ links: started(1), failsafe: null }))).toBe(true);
  });
});

describe('a member that the map does not name', () => {
  it('takes no lead', () => {
    expect(race({ failsafe: key('b', 'c') })).toMatchObject({ rule: 'race.outside-failsafe', steps: [] });
    expect(takes(race({ failsafe: key() }))).toBe(true);
    expect(takes(race({ failsafe: key('b', 'c'), settings: settings('a') }))).toBe(true);
  });

  it('does, once each that it names says that it does not lead', () => {
    const failsafe = key('b', 'c');
    expect(takes(race({ failsafe, peers: peers(peer('b'), peer('c')) }))).toBe(true);
    expect(race({ failsafe, peers: peers(peer('b')) }).rule).toBe('race.outside-failsafe');
    expect(race({ failsafe, peers: peers(peer('b'), peer('c', { inRecovery: false, role: 'primary' })) }).rule).not.toBe(
      'race.enough-votes',
    );
  });

  it('does, if an operator names it', () => {
    const failover = { leader: null, candidate: 'a', scheduledAtMs: null, scheduledAt: null, modRevision: '9' };
    expect(takes(race({ view: view({ failsafe: key('b', 'c'), failover }) }))).toBe(true);
  });
});

describe('the map', () => {
  const leading = (over: Parameters<typeof view>[0], dynamic = { failsafeMode: true }) =>
    contextOf(observation({ settings: settings('a', { dynamic }), view: view({ leaderName: 'a', ...over }), pg: pg.primary() }), memory());

  it('is written when it does not name the members that there are', () => {
    const wanted = { kind: 'write-failsafe', map: ALL.map, term: '5' };
    expect(failsafeKey(leading({}))).toEqual({ ...wanted, expected: null });
    expect(failsafeKey(leading({ failsafe: key('a', 'b') }))).toEqual({ ...wanted, expected: key('a', 'b') });
    expect(failsafeKey(leading({ failsafe: { ...ALL, map: { ...ALL.map, c: 'http://elsewhere:8008/patroni' } } }))).toMatchObject(wanted);
    expect(failsafeKey(leading({ failsafe: ALL }))).toBeNull();
    expect(failsafeKey(leading({}, { failsafeMode: false }))).toBeNull();
    expect(failsafeKey(leading({ members: [member('b'), member('c')] }))).toBeNull();
  });

  it('stays as it is while this leader goes on by the word of those that it names', () => {
    const c = leading({ failsafe: key('a', 'b') });
    const keptBy = (ttlSeconds: number) => ({
      ...c,
      authority: { ...c.authority, agreed: { sentAtMs: c.o.nowMs, ttlSeconds, by: ['b'] } },
    });
    expect(failsafeKey(keptBy(60))).toBeNull();
    expect(failsafeKey(keptBy(5))).not.toBeNull();
  });

  it('says who is asked: all that etcd may name now, and nobody without the leader itself', () => {
    expect(Object.keys(membersToAsk('a', [ALL.map]) ?? {})).toEqual(['b', 'c']);
    expect(Object.keys(membersToAsk('a', [key('a', 'b').map, key('a', 'c').map]) ?? {})).toEqual(['b', 'c']);
    expect(membersToAsk('a', [key('a').map])).toEqual({});
    expect(membersToAsk('a', [ALL.map, key('b', 'c').map])).toBeNull();
    expect(membersToAsk('a', [])).toBeNull();
  });

  it('tells where a leader is whose member key is gone', () => {
    const gone = view({ failsafe: ALL, members: [member('a'), member('b')] });
    expect(failsafeMembersOnly(gone)).toEqual([{ name: 'c', apiUrl: url('c') }]);
  });
});

describe('a member that is asked', () => {
  const refusal = (scene: Given) => refusesFailsafe(contextOf(observation({ settings: on, ...scene }), memory()));

  it('refuses as a leader, or if it may become one', () => {
    expect(refusal({ pg: pg.standby() })).toBeNull();
    expect(refusal({ view: null, pg: pg.standby() })).toBeNull();
    expect(refusal({ pg: pg.primary() })).toBe('as a leader');
    expect(refusal({ view: view({ leaderName: 'a' }) })).toBe('as a leader');
    expect(refusal({ job: { job: { kind: 'promote', syncNames: null }, startedAtMs: 0 } })).toBe('as a leader');
  });

  it('refuses while an operator asks for another leader', () => {
    const failover = { leader: 'b', candidate: 'a', scheduledAtMs: null, scheduledAt: null, modRevision: '9' };
    expect(refusal({ view: view({ leaderName: 'b', failover }) })).toBe('for an operator');
  });
});
