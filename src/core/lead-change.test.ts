/**
 * What `history` says of a change of the lead. The member that takes the key writes why, and
 * PostgreSQL's own text stays where no agent knows better.
 */
import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, peer, peers, pg, type Scene, settings, view } from '../../test/support/build.ts';
import { standbyClusters } from '../../test/support/random-standby-clusters.ts';
import { ClusterReader } from '../adapters/etcd/decode.ts';
import { encodeFailover } from '../adapters/etcd/encode.ts';
import { readPeerBody } from '../dialect/peer-body.ts';
import type { JsonObject } from '../support/json.ts';
import type { FailoverKey, HistoryEntry } from './cluster.ts';
import { contextOf } from './context.ts';
import { decide } from './decide.ts';
import { leadReason } from './lead-change.ts';
import type { Memory } from './model.ts';

const request: FailoverKey = { leader: 'b', candidate: null, scheduledAtMs: null, scheduledAt: null, modRevision: '7' };
const asked = { requestedBy: 'alice@bastion (10.0.0.7)', requestedAt: '2026-11-28T19:00:00.000000+00:00' };
const gone = view({ members: [member('a'), member('c')] });
const reason = (scene: Scene, over: Partial<Memory> = {}) =>
  leadReason(contextOf(observation({ view: gone, ...scene }), memory({ formerLeader: 'b', ...over })));
const withKey = (raw: JsonObject) => view({ members: [member('a'), member('b', { raw }), member('c')] });

describe('why this node takes the lead', () => {
  it.each<[string, Scene, Partial<Memory>, string]>([
    [
      'an operator’s switchover',
      { view: view({ failover: { ...request, ...asked } }) },
      {},
      'switchover from b to a, asked for by alice@bastion (10.0.0.7) at 2026-11-28T19:00:00.000000+00:00',
    ],
    [
      'one that somebody wrote who does not tell',
      { view: view({ failover: request }) },
      {},
      'switchover from b to a, asked for by an operator',
    ],
    [
      'one to another, who could not',
      { view: view({ failover: { ...request, candidate: 'c' } }) },
      {},
      'switchover from b to a (meant for c), asked for by an operator',
    ],
    [
      'a scheduled one',
      { view: view({ failover: { ...request, scheduledAt: '2026-11-28T20:00:00+00:00', scheduledAtMs: 1 } }) },
      {},
      'switchover from b to a, asked for by an operator, scheduled for 2026-11-28T20:00:00+00:00',
    ],
    [
      'a failover by name',
      { view: view({ failover: { ...request, leader: null, candidate: 'a' } }) },
      {},
      'failover to a, asked for by an operator',
    ],
    ['the key ran out, and nobody answers', {}, {}, 'failover: the leader key of b expired, and it does not answer'],
    ['the key ran out on one that answers', { peers: peers(peer('b')) }, {}, 'failover: the leader key of b expired'],
    [
      'it ran out before a switchover was due',
      { view: { ...gone, failover: { ...request, scheduledAtMs: 1_900_000_000_000, scheduledAt: 'x' } } },
      {},
      'failover: the leader key of b expired, and it does not answer',
    ],
    ['the key was taken away', { view: view() }, {}, 'failover: the leader key of b was released or removed'],
    [
      'the former leader says why itself',
      { peers: peers(peer('b', { steppedDown: 'demoted self because DCS is not accessible and I was a leader: no answer' })) },
      {},
      'failover: b gave up the lead: demoted self because DCS is not accessible and I was a leader: no answer',
    ],
    [
      'its member key says why',
      { view: withKey({ stepped_down: 'its agent was told to end' }) },
      {},
      'failover: b gave up the lead: its agent was told to end',
    ],
    [
      'it was this node itself',
      {},
      { formerLeader: 'a', steppedDown: 'PostgreSQL crashed' },
      'a leads again: it had given up the lead: PostgreSQL crashed',
    ],
    [
      'a switchover away from it came to nothing',
      { view: view({ failover: { ...request, leader: 'a' } }) },
      { formerLeader: 'a' },
      'a leads again',
    ],
    ['nobody has been seen to lead', {}, { formerLeader: null }, 'nobody had led since the agent of this node was started'],
  ])('%s', (_, scene, over, text) => {
    expect(reason(scene, over)).toBe(text);
  });

  it('is short enough for a table', () => {
    expect(reason({ peers: peers(peer('b', { steppedDown: 'x'.repeat(1000) })) })).toHaveLength(250);
  });
});

describe('the promotion of a standby cluster', () => {
  const follows = settings('a', { dynamic: { standbyCluster: standbyClusters[0]! } });
  const why = 'the standby cluster was promoted: an operator removed standby_cluster (it followed 10.9.9.9:5432)';
  const round = (before: Memory, scene: Scene) => decide(observation(scene), before);
  const leads = view({ leaderName: 'a', members: [member('a', { role: 'standby_leader' }), member('c')] });
  /** a took the key in a race while the cluster followed that server, and leads since. */
  const leading = () => {
    const taken = round(memory({ formerLeader: 'b' }), { view: gone, settings: follows, peers: peers(peer('c')) });
    expect(taken.effects.map(({ kind }) => kind)).toContain('acquire-leader');
    return round(taken.memory, { view: leads, settings: follows }).memory;
  };

  it('is the reason, and not what made this node lead the standby cluster', () => {
    const promoted = round(leading(), { view: leads });
    expect(promoted.rule).toBe('standby.promote');
    expect(promoted.memory.leadReason).toBe(why);
    expect(round(promoted.memory, { view: null, nowMs: 10_100 }).memory.leadReason).toBe(why);
  });

  it('is the reason for a member that takes the key after it, with how it came to that', () => {
    const seen = round(memory(), {
      view: view({ leaderName: 'b', members: [member('b', { role: 'standby_leader' })] }),
      settings: follows,
    });
    const taken = round(seen.memory, { view: gone, peers: peers(peer('c')) });
    expect(taken.memory.leadReason).toBe(`${why}; failover: the leader key of b expired, and it does not answer`);
  });

  it('is the reason for an agent that was restarted meanwhile, as long as the key of the one before it is there', () => {
    const { leadReason } = round(memory({ keyTaken: true }), { view: leads }).memory;
    expect(leadReason).toBe('the standby cluster was promoted: an operator removed standby_cluster (it followed a server outside)');
    const { leadReason: other } = round(memory({ keyTaken: true }), { view: view({ leaderName: 'a' }) }).memory;
    expect(other).toBe('a held the leader key already, and its PostgreSQL was a standby');
  });

  it('is over once history has it, or another is seen as the primary', () => {
    const followed = (scene: Scene) => round(memory({ followed: '10.9.9.9:5432', leadReason: why }), scene).memory.followed;
    const line = { timeline: 1, switchLsn: lsn(500), reason: 'x', timestamp: 't', newLeader: 'a' };
    const own = [{ timeline: 1, switchLsn: lsn(500), reason: 'y' }];
    const primary = { ...pg.primary({ timeline: 2 }), localHistory: own };
    expect(followed({ view: view({ leaderName: 'a' }), pg: primary })).toBe('10.9.9.9:5432');
    expect(followed({ view: view({ leaderName: 'a', history: [line] }), pg: primary })).toBeNull();
    // A line of the cluster's time before, about another timeline of that number.
    expect(followed({ view: view({ leaderName: 'a', history: [{ ...line, switchLsn: lsn(400) }] }), pg: primary })).toBe('10.9.9.9:5432');
    expect(followed({ view: view({ leaderName: 'b', members: [member('b', { role: 'standby_leader' })] }) })).toBe('10.9.9.9:5432');
    expect(followed({ view: view({ leaderName: 'b', members: [member('b', { role: 'primary' })] }) })).toBeNull();
  });
});

it('a promotion by hand is told by the member that takes the key after it', () => {
  const byHand = { view: gone, pg: pg.primary({ timeline: 2 }) };
  const taken = decide(observation(byHand), memory({ role: 'replica', state: 'running', formerLeader: 'b' }));
  expect(taken.rule).toBe('primary.acquire');
  expect(taken.memory.leadReason).toBe(
    'somebody promoted a by hand, and it took the leader key; failover: the leader key of b expired, and it does not answer',
  );
  const paused = settings('a', { dynamic: { pause: true } });
  const inPause = decide(observation({ ...byHand, settings: paused }), memory({ role: 'replica', state: 'running', formerLeader: 'b' }));
  expect([inPause.rule, inPause.memory.leadReason]).toEqual(['paused.primary-unlocked', taken.memory.leadReason]);
  const ownAgain = decide(observation({ ...byHand, pg: pg.primary() }), memory({ role: 'primary', state: 'running', formerLeader: 'a' }));
  expect([ownAgain.rule, ownAgain.memory.leadReason]).toEqual(['primary.acquire', null]);
});

describe('why this node gives up the lead', () => {
  const leads = { view: view({ leaderName: 'a' }), pg: pg.primary() };
  const toldAfter = (scene: Scene, over: Partial<Memory> = {}) =>
    decide(observation(scene), memory({ role: 'primary', ...over })).memory.steppedDown;
  const key = { leaseId: 'lease-a', stepDownAtMs: 11_000 };

  it.each<[string, Scene, Partial<Memory>, string]>([
    [
      'etcd is away: with what etcd’s client says',
      { view: null, pg: pg.primary(), nowMs: 33_001, key },
      {},
      'demoted self because DCS is not accessible and I was a leader: test',
    ],
    [
      'etcd answers, and does not renew',
      { ...leads, nowMs: 33_001 },
      {},
      'demoted self because failed to update leader lock in DCS: etcd answers, and has not renewed the lease in time',
    ],
    [
      'the agent is told to end',
      { ...leads, requests: { shutdown: true, restart: null, reinitialize: null } },
      {},
      'its agent was told to end',
    ],
    [
      'PostgreSQL crashed, and another is to lead',
      {
        view: view({ leaderName: 'a', status: { optime: lsn(1000), slots: {}, retainSlots: [] } }),
        pg: pg.stopped(),
        peers: peers(peer('b'), peer('c')),
        settings: settings('a', { dynamic: { primaryStartTimeoutSeconds: 0 } }),
      },
      {},
      'stopped PostgreSQL to fail over after a crash: releasing the leader key',
    ],
    [
      'somebody else holds the key',
      { view: view({ leaderName: 'b' }), pg: pg.primary() },
      {},
      'demoting self because I do not have the lock and I was a leader: b has it',
    ],
  ])('%s', (_, scene, over, text) => {
    expect(toldAfter(scene, over)).toBe(text);
  });

  it('is remembered until another member leads', () => {
    const idle = { view: view(), pg: pg.stopped({ state: 'shut down in recovery' }, { standbySignal: true }) };
    expect(toldAfter(idle, { steppedDown: 'x' })).toBe('x');
    expect(toldAfter({ ...idle, view: view({ leaderName: 'b' }) }, { steppedDown: 'x' })).toBeNull();
    expect(toldAfter(leads, { steppedDown: 'x' })).toBeNull();
    const job = { job: { kind: 'handover', action: 'switchover', candidate: null }, startedAtMs: 1 } as const;
    expect(toldAfter({ ...leads, job }, { steppedDown: 'x' })).toBe('x');
  });

  it('is not recorded by a standby that follows', () => {
    expect(toldAfter({ view: view({ leaderName: 'b' }) })).toBeNull();
  });

  it('reaches the others over REST', () => {
    expect(readPeerBody('b', { state: 'stopped', on_disk: {}, regent: { stepped_down: 'why' } })?.steppedDown).toBe('why');
  });
});

describe('history', () => {
  const PG_SAYS = 'no recovery target specified';
  const own = [
    { timeline: 1, switchLsn: lsn(500), reason: PG_SAYS },
    { timeline: 2, switchLsn: lsn(900), reason: PG_SAYS },
  ];
  const first = { timeline: 1, switchLsn: lsn(500), reason: 'switchover from c to b, asked for by x', timestamp: 't1', newLeader: 'b' };
  const promoted = { ...pg.primary({ timeline: 3 }), localHistory: own };
  const written = (over: Partial<Memory>, history: readonly HistoryEntry[] = [first]) => {
    const scene = observation({ view: view({ leaderName: 'a', history }), pg: promoted });
    const decision = decide(scene, memory({ role: 'primary', ...over }));
    return { value: decision.effects.flatMap((effect) => (effect.kind === 'write-history' ? [effect.value] : []))[0], decision };
  };

  it('has this node’s reason for the last change, and keeps those of leaders before', () => {
    const { value } = written({ leadReason: 'failover: the leader key of b expired' });
    expect(value).toEqual([
      [1, lsn(500), first.reason, 't1', 'b'],
      [2, lsn(900), 'failover: the leader key of b expired', expect.any(String), 'a'],
    ]);
  });

  it('has PostgreSQL’s text where no agent knows why', () => {
    expect(written({}).value?.[1]).toEqual([2, lsn(900), PG_SAYS, expect.any(String), 'a']);
    expect(written({ leadReason: 'x' }, []).value?.[0]).toEqual([1, lsn(500), PG_SAYS]);
  });

  it('once it is written, the reason is not used for another change', () => {
    const recorded = { timeline: 2, switchLsn: lsn(900), reason: 'x', timestamp: 't2', newLeader: 'a' };
    const { value, decision } = written({ leadReason: 'x' }, [first, recorded]);
    expect([value, decision.memory.leadReason]).toEqual([undefined, null]);
    expect(written({ leadReason: 'x' }).decision.memory.leadReason).toBe('x');
  });

  it('from the race to the key: the reason is known when the key is taken, and kept while the node is promoted', () => {
    const race = observation({ view: view({ failover: { ...request, candidate: 'a' } }), peers: peers(peer('b'), peer('c')) });
    const taken = decide(race, memory({ formerLeader: 'b' }));
    expect(taken.effects.map(({ kind }) => kind)).toContain('acquire-leader');
    expect(taken.memory.leadReason).toBe('switchover from b to a, asked for by an operator');
    const promoting = decide(observation({ view: view({ leaderName: 'a' }) }), taken.memory);
    expect(promoting.memory.leadReason).toBe('switchover from b to a, asked for by an operator');
    const lost = decide(observation({ view: view({ leaderName: 'c' }) }), taken.memory);
    expect(lost.memory.leadReason).toBeNull();
  });
});

it('the operator’s name travels through etcd, beside what Patroni reads', () => {
  const text = encodeFailover({ leader: 'b', requested_by: asked.requestedBy, requested_at: asked.requestedAt });
  expect(JSON.parse(text)).toEqual({ leader: 'b', requested_by: asked.requestedBy, requested_at: asked.requestedAt });
  const encoded = (value: string) => Buffer.from(value).toString('base64');
  const kv = { key: encoded('/service/demo/failover'), value: encoded(text), mod_revision: '7' };
  const read = new ClusterReader('/service/demo/').read([kv], '9');
  expect(read.failover).toEqual({ ...request, ...asked });
});
