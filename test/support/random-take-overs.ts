/**
 * Random rounds of member `a` where the voters' promises may stand in for the lease. There is a
 * standby that may miss its leader, a leader with its voters' answers, and a race in which somebody
 * has vouched for the last leader.
 */
import fc from 'fast-check';
import type { Member } from '../../src/core/cluster.ts';
import type { Memory, Observation } from '../../src/core/model.ts';
import type { FenceMark } from '../../src/core/quorum/fence-mark.ts';
import { BEATS } from '../../src/core/quorum/in-force.ts';
import { type Knock, type LinkFacts, noLinks, type VoterAnswer } from '../../src/core/quorum/link-facts.ts';
import { lsn, member, memory, observation, peer, peers, pg, settings, view, walreceiver, walsender } from './build.ts';
import { namesInForce } from './random-names.ts';
import { raceRound } from './random-rounds.ts';

const NOW_MS = 10_000;
/** Revisions of the leader key: `view` gives it the first. */
const [TERM, LATER_TERM] = ['5', '9'];
const [SYNC, FORMER_SYNC] = ['8', '7'];

const often = <T>(value: T, ...others: readonly T[]) => fc.constantFrom(value, value, value, value, value, value, ...others);
const rarely = <T>(value: T) => often<T | undefined>(undefined, value);
const given = <T extends object>(facts: T) => Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));

/** Member `b` leads. */
const cluster = fc
  .record({
    leader: often<string | null>('b', null, 'a'),
    syncLeader: often<string | null>('b', null, 'c'),
    standbys: often(['a', 'c'], ['a'], ['c'], ['a', 'c', 'd'], []),
    quorum: often(1, 0, 0, 2),
    silent: often<string | null>(null, null, null, 'a', 'b', 'c'),
    noSync: often(false, true),
    without: often<string | null>(null, 'c'),
  })
  .map(({ leader, syncLeader, standbys, quorum, silent, noSync, without }) => {
    const agent = (name: string): Member =>
      member(name, { role: name === leader ? 'primary' : 'replica', raw: name === silent ? {} : { beats: BEATS } });
    return view({
      ...(leader !== null && { leaderName: leader }),
      members: ['a', 'b', 'c', 'd'].filter((name) => name !== without).map(agent),
      sync: noSync ? null : { leader: syncLeader, quorum, standbys, modRevision: SYNC },
    });
  });

const dynamic = fc.record({
  synchronousMode: often<'on' | 'off' | 'quorum'>('quorum', 'on', 'on', 'off'),
  failoverFence: often<'quorum' | 'lease'>('quorum', 'lease'),
  primaryRaceBackoffSeconds: often(0, 20),
  pause: often(false, true),
});

/** Where the lease is the fence, and refused connections may be heeded. */
const refusalDynamic = fc.record({
  synchronousMode: often<'on' | 'off' | 'quorum'>('off', 'quorum'),
  failoverFence: often<'quorum' | 'lease'>('quorum', 'lease'),
  failoverOnRefusal: often(true, false),
  primaryRaceBackoffSeconds: often(0, 20),
  pause: often(false, true),
});

const mark: fc.Arbitrary<FenceMark | 'unreadable' | undefined> = fc.constantFrom<(FenceMark | 'unreadable' | undefined)[]>(
  undefined,
  undefined,
  { leader: 'b', term: TERM, sync: SYNC },
  { leader: 'b', term: TERM, sync: SYNC },
  { leader: 'b', term: TERM, sync: FORMER_SYNC },
  'unreadable',
);

const knock = fc.constantFrom<Knock[]>('refused', 'answered', 'silent');
const knocks = fc
  .record({ agent: knock, postgres: knock, again: fc.boolean() })
  .map(({ agent, postgres, again }) => ({ agent, postgres, refusedTwice: again && agent === 'refused' && postgres === 'refused' }));

const refused = often({ agent: 'refused', postgres: 'refused', refusedTwice: true } as const, null);

const heard = fc.record({
  leader: often('b', 'c'),
  atMs: fc.constantFrom(NOW_MS - 50, 6000),
  lost: fc.boolean(),
  resignedTerm: rarely(TERM),
});

const links: fc.Arbitrary<LinkFacts> = fc
  .record({
    sinceMs: often(Number.NEGATIVE_INFINITY, 9000),
    watchingSinceMs: often(6000, 9900),
    heard: fc.option(heard, { freq: 4 }),
    knocks: fc.option(knocks, { freq: 6 }),
    vouched: often(null, { leader: 'b', untilMs: 9000 }, { leader: 'b', untilMs: 11_000 }),
  })
  .map((facts) => ({ ...noLinks(facts.sinceMs), ...facts }));

const answer = (name: string) =>
  fc
    .record({
      lsn: often(lsn(1000), lsn(900), lsn(1200), null),
      timeline: often<number | null>(1, 2, null),
      missesTerm: fc.constantFrom(undefined, TERM, TERM, LATER_TERM),
      refusedTerm: often<string | undefined>(TERM, undefined, LATER_TERM),
      fence: fc.constantFrom(undefined, `${TERM}/${SYNC}`, `${TERM}/${SYNC}`, `${TERM}/${FORMER_SYNC}`),
      receiving: rarely(true),
      attached: rarely(true),
      replaying: rarely(true),
      vouchesFor: rarely('b'),
      restored: rarely(true),
    })
    .map((facts) => peer(name, given(facts)));

const answers = fc.option(
  fc
    .tuple(fc.option(answer('c'), { freq: 6 }), fc.option(answer('d'), { freq: 2 }))
    .map((all) => peers(...all.filter((one) => one !== null))),
  { freq: 15 },
);

const RECEIVER = walreceiver({ conninfo: 'host=b port=5432' });

const standbySql = fc.record({
  receiveLsn: often(lsn(1000), lsn(900), null),
  primaryConninfo: fc.constantFrom('', '', 'host=b port=5432'),
  receiver: often(false, true),
  replaying: rarely(true),
  replayPaused: often(false, true),
});

/** A standby whose leader may be gone; often it is one of the voters. */
export const missedLeaderRound: fc.Arbitrary<Observation> = fc
  .record({ view: cluster, dynamic, mark, links, peers: answers, sql: standbySql, tags: often({}, { nofailover: true }) })
  .map(({ view: seen, dynamic: changed, mark: fence, sql, tags, ...rest }) => {
    const { receiver, receiveLsn, replaying, ...more } = sql;
    const streams = receiver ? { receiver: RECEIVER } : {};
    const facts = pg.standby({ ...more, receiveLsn, replayLsn: receiveLsn, ...given({ replaying }), ...streams });
    return observation({
      ...rest,
      nowMs: NOW_MS,
      view: seen,
      settings: settings('a', { dynamic: changed, local: { tags } }),
      pg: { ...facts, ...(fence !== undefined && { fence }) },
    });
  });

/** A standby of an asynchronous cluster whose leader refuses connections. */
export const refusedRound: fc.Arbitrary<Observation> = fc
  .record({
    round: missedLeaderRound,
    dynamic: refusalDynamic,
    knocks: refused,
    noSync: often(true, false),
    isAsked: often(false, true),
  })
  .map(({ round, dynamic: changed, knocks: found, noSync, isAsked }) => {
    const { dcs, settings: own, links: known } = round;
    const failover = { leader: 'b', candidate: null, scheduledAtMs: null, scheduledAt: null, modRevision: '9' };
    const seen = dcs.known ? { ...dcs.view, ...(noSync && { sync: null }), ...(isAsked && { failover }) } : null;
    return {
      ...round,
      dcs: seen === null ? dcs : { known: true, view: seen },
      settings: { ...own, dynamic: { ...own.dynamic, ...changed } },
      links: { ...known, knocks: found },
    };
  });

const voterAnswer: fc.Arbitrary<VoterAnswer> = fc.record({
  atMs: often(NOW_MS - 50, 6000),
  fence: often<string | null>(null, `${TERM}/${SYNC}`, `${TERM}/${FORMER_SYNC}`),
  leader: often<VoterAnswer['leader']>(null, { name: 'c', term: LATER_TERM }, { name: 'a', term: TERM }, { name: 'c', term: '4' }),
});

const OWN_FENCE = { kind: 'quorum', leader: 'a', term: TERM, sync: SYNC, voters: ['b', 'c'], count: 1, needed: 2 } as const;

/** A leader with what its voters answered, often while etcd is silent. */
export const answeredLeaderRound: fc.Arbitrary<Observation> = fc
  .record({
    silent: often(true, false),
    nowMs: fc.constantFrom(NOW_MS, 60_000),
    b: fc.option(voterAnswer),
    c: fc.option(voterAnswer),
    lastFence: often<LinkFacts['lastFence']>(OWN_FENCE, null),
    vouched: often<{ sentAtMs: number; by: string[] } | null>({ sentAtMs: 59_500, by: ['b'] }, { sentAtMs: 9000, by: ['b', 'c'] }, null),
    pause: often(false, true),
    streaming: fc.subarray(['b', 'c']),
    names: namesInForce('ANY 1 (b,c)'),
  })
  .map(({ silent, nowMs, b, c, lastFence, vouched, pause, streaming, names }) => {
    const members = [
      member('a', { role: 'primary', raw: { beats: BEATS } }),
      ...['b', 'c'].map((name) => member(name, { raw: { beats: BEATS } })),
    ];
    const seen = view({ leaderName: 'a', members, sync: { leader: 'a', quorum: 1, standbys: ['b', 'c'], modRevision: SYNC } });
    const told = new Map(Object.entries({ b, c }).flatMap(([name, one]) => (one === null ? [] : [[name, one] as const])));
    const o = observation({
      nowMs,
      view: silent ? null : seen,
      key: { leaseId: 'lease-a', stepDownAtMs: 33_000 },
      settings: settings('a', { dynamic: { synchronousMode: 'quorum', pause } }),
      pg: pg.primary({ ...names, replication: streaming.map((name) => walsender(name)) }),
      links: { ...noLinks(0), answers: told, lastFence },
    });
    return { ...o, authority: { ...o.authority, vouched } };
  });

/** What member `a` remembers of a leader that it misses. */
export const missedLeaderMemory: fc.Arbitrary<Memory> = fc
  .record({
    missesLeaderSinceMs: fc.constantFrom(null, 9500, 6000),
    abstainUntilMs: often<number | null>(null, 11_000),
    streamed: fc.boolean(),
  })
  .map((facts) => memory({ ...facts, role: 'replica' }));

const apiUrl = (name: string) => `http://${name}:8008/patroni`;
const maps = fc.constantFrom(['a', 'b', 'c', 'd'], ['a', 'b'], ['b', 'c'], []);

/**
 * A standby, where failsafe mode is on and members may have agreed to it; with its key or without,
 * or promoted by hand.
 */
export const failsafeRound: fc.Arbitrary<Observation> = fc
  .record({
    round: raceRound,
    map: fc.option(maps, { freq: 5 }),
    failsafeMode: often(true, false),
    agreed: fc.option(fc.record({ leader: fc.constantFrom('b', 'c'), untilMs: fc.constantFrom(9000, 11_000, 70_000) })),
    sinceMs: fc.constantFrom(Number.NEGATIVE_INFINITY, 0, 45_000),
    words: fc.dictionary(fc.constantFrom('b', 'c', 'd'), fc.constantFrom('a', 'b', 'c'), { maxKeys: 2 }),
    hasKey: often(false, true),
    isOpened: often(false, true),
  })
  .map(({ round, map, failsafeMode, agreed, sinceMs, words, hasKey, isOpened }) => {
    const { dcs, settings: own } = round;
    const failsafe = map && { map: Object.fromEntries(map.map((name) => [name, apiUrl(name)])), modRevision: '7' };
    const leader = hasKey ? { name: 'a', leaseId: 'lease-a', modRevision: '6' } : null;
    return {
      ...round,
      dcs: dcs.known ? { known: true, view: { ...dcs.view, failsafe, leader } } : dcs,
      settings: { ...own, dynamic: { ...own.dynamic, failsafeMode } },
      peers: round.peers && new Map([...round.peers].map(([name, one]) => [name, words[name] ? { ...one, failsafe: words[name] } : one])),
      links: { ...noLinks(sinceMs), agreed },
      ...(isOpened && { pg: pg.primary({ timeline: 3 }) }),
    };
  });

/** A race after a leader for which members may still have vouched. */
export const vouchedRaceRound: fc.Arbitrary<Observation> = fc
  .record({
    round: raceRound,
    vouchesFor: fc.constantFrom(undefined, 'b'),
    vouched: fc.constantFrom(null, { leader: 'b', untilMs: 11_000 }),
  })
  .map(({ round, vouchesFor, vouched }) => ({
    ...round,
    peers: round.peers && new Map([...round.peers].map(([name, one]) => [name, vouchesFor === undefined ? one : { ...one, vouchesFor }])),
    links: { ...noLinks(Number.NEGATIVE_INFINITY), vouched },
  }));
