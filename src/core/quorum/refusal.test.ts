import { describe, expect, it, test } from 'vitest';
import { lsn, member, memory, observation, peer, peers, pg, type Scene, settings, view } from '../../../test/support/build.ts';
import type { ClusterView } from '../cluster.ts';
import { contextOf } from '../context.ts';
import { decide } from '../decide.ts';
import type { PeerFacts } from '../peer-facts.ts';
import type { ReceiverFacts } from '../postgres-facts.ts';
import type { DynamicSettings } from '../settings.ts';
import { type Knocks, type LinkFacts, noLinks } from './link-facts.ts';
import { heedsRefusals, isRefused, refusalVerdict, refusedTerm, unheeded } from './refusal.ts';

const NOW_MS = 10_000;
const TERM = '5';
const refused: Knocks = { agent: 'refused', postgres: 'refused', refusedTwice: true };
const on = { failoverOnRefusal: true } as const;
const agent = (name: string) => member(name, { raw: { beats: 1 }, ...(name === 'b' && { role: 'primary' }) });
const cluster = (over: Partial<ClusterView> = {}) => view({ leaderName: 'b', members: ['a', 'b', 'c'].map(agent), ...over });

interface Play {
  readonly dynamic?: Partial<DynamicSettings>;
  readonly view?: ClusterView;
  readonly links?: Partial<LinkFacts>;
  readonly peers?: readonly PeerFacts[] | null;
  readonly scene?: Scene;
}

/** Both ports of the leader b have refused member a twice. */
function round({ dynamic = {}, view: seen = cluster(), links = {}, peers: answers = [refusedToo('c')], scene = {} }: Play = {}) {
  return observation({
    nowMs: NOW_MS,
    view: seen,
    settings: settings('a', { dynamic: { ...on, ...dynamic } }),
    pg: pg.standby(),
    peers: answers && peers(...answers),
    links: { ...noLinks(-60_000), knocks: refused, ...links },
    ...scene,
  });
}
const refusedToo = (name: string, over: Partial<PeerFacts> = {}) => peer(name, { refusedTerm: TERM, ...over });
const context = (play?: Play) => contextOf(round(play), memory());
const row = (play?: Play) => refusalVerdict(context(play))?.id ?? null;

describe('refused connections count', () => {
  const row = (dynamic: Partial<DynamicSettings>, over: Partial<ClusterView> = {}) =>
    unheeded(cluster(over), settings('a', { dynamic }).dynamic)?.id ?? null;
  const former = { leader: 'b', quorum: 0, standbys: ['a'], modRevision: '8' };

  it('where the setting says so', () => {
    expect(row(on)).toBeNull();
    expect(heedsRefusals(cluster(), settings('a', { dynamic: on }).dynamic)).toBe(true);
  });

  it.each<[string, Partial<DynamicSettings>, Partial<ClusterView>]>([
    ['refusal.by-setting', {}, {}],
    ['refusal.by-setting', { ...on, failoverFence: 'lease' }, {}],
    ['refusal.synchronous', { ...on, synchronousMode: 'quorum' }, {}],
    ['refusal.synchronous', on, { sync: former }],
    ['refusal.paused', { ...on, pause: true }, {}],
    ['refusal.nobody-leads', on, { leader: null }],
    ['refusal.nobody-leads', on, { members: [agent('a'), agent('c')] }],
    ['refusal.without-beats', on, { members: [agent('a'), agent('b'), member('c')] }],
    ['refusal.without-beats', on, { members: [agent('a'), member('b', { role: 'primary' }), agent('c')] }],
  ])('not by %s', (id, dynamic, over) => {
    expect(row(dynamic, over)).toBe(id);
    expect(heedsRefusals(cluster(over), settings('a', { dynamic }).dynamic)).toBe(false);
  });

  it('not while etcd does not answer', () => {
    expect(heedsRefusals(null, settings('a', { dynamic: on }).dynamic)).toBe(false);
  });
});

describe('this node was refused', () => {
  const by = (knocks: Knocks | null) => isRefused(context({ links: { knocks } }));

  it('by both ports, twice; nothing less will do', () => {
    expect(by(refused)).toBe(true);
    expect(by(null)).toBe(false);
    expect(by({ ...refused, refusedTwice: false })).toBe(false);
    expect(by({ agent: 'refused', postgres: 'silent', refusedTwice: false })).toBe(false);
  });

  it('and tells the others in which term, unless WAL still comes from there', () => {
    const receiver = { status: 'streaming', senderHost: 'b' } as ReceiverFacts;
    expect(refusedTerm(context())).toBe(TERM);
    expect(refusedTerm(context({ scene: { pg: pg.standby({ receiver }) } }))).toBeNull();
    expect(refusedTerm(context({ dynamic: { failoverOnRefusal: false } }))).toBeNull();
  });
});

describe('it takes the lead', () => {
  it('where every member that answers was refused too', () => {
    const decision = decide(round(), memory());
    expect(decision).toMatchObject({ rule: 'refused.take', steps: [{ kind: 'take-refused', term: TERM }], memory: { keyTaken: true } });
    expect(decision.memory.leadReason).toBe('failover: nothing listened at the ports of b any more');
    expect(decision.because).toMatch(/^nothing listens at the ports of b any more, as every member that answers found; this node is/);
    expect(decision.memory.leadReason).toBe('failover: nothing listened at the ports of b any more');
  });

  it('where no other member answers', () => {
    expect(row({ peers: [] })).toBe('refused.take');
  });

  it('not while one that answers was not, or was in another term', () => {
    expect(row({ peers: [peer('c')] })).toBe('refused.not-by-all');
    expect(row({ peers: [peer('c', { refusedTerm: '4' })] })).toBe('refused.not-by-all');
    expect(row({ peers: [peer('c', { missesTerm: TERM })] })).toBe('refused.not-by-all');
    expect(decide(round({ peers: [refusedToo('c'), peer('d')] }), memory()).steps).toEqual([]);
  });

  it('not before the others were asked, and while WAL still comes', () => {
    const receiver = { status: 'streaming', senderHost: 'b' } as ReceiverFacts;
    expect(row({ peers: null })).toBe('refused.not-asked');
    expect(row({ scene: { pg: pg.standby({ receiver }) } })).toBe('refused.streaming');
  });

  it('not while somebody may have vouched for the leader', () => {
    expect(row({ links: { vouched: { leader: 'b', untilMs: NOW_MS + 1 } } })).toBe('refused.vouched');
    expect(row({ links: { sinceMs: NOW_MS - 2999 } })).toBe('refused.vouched');
    expect(refusalVerdict(context({ peers: [refusedToo('c', { vouchesFor: 'b' })] }))?.because).toMatch(/^c has vouched/);
  });

  it('not against an operator’s request, which is for after the lease', () => {
    const failover = { leader: null, candidate: 'a', scheduledAtMs: null, scheduledAt: null, modRevision: '9' };
    expect(row({ view: cluster({ failover }) })).toBe('refused.operator-asked');
    const later = { ...failover, leader: 'b', scheduledAtMs: 9_000_000_000_000 };
    expect(row({ view: cluster({ failover: later }) })).toBe('refused.take');
  });

  it('by the usual tables: not beside one that is ahead, too far behind, or tagged nofailover', () => {
    const verdict = (play: Play) => refusalVerdict(context(play));
    expect(verdict({ peers: [refusedToo('c', { lsn: lsn(1200) })] })).toMatchObject({ id: 'refused.leave', verdict: 'wait' });
    const status = { optime: lsn(9_000_000), slots: {}, retainSlots: [] };
    expect(verdict({ view: cluster({ status }) })?.because).toMatch(/bytes behind the last leader/);
    const tagged = settings('a', { dynamic: on, local: { tags: { nofailover: true } } });
    expect(verdict({ scene: { settings: tagged } })?.because).toBe('this node is tagged nofailover');
  });

  it('not as anything but a standby, and not while the cluster is paused', () => {
    expect(row({ scene: { pg: pg.stopped() } })).toBeNull();
    expect(decide(round({ dynamic: { pause: true } }), memory()).steps).toEqual([]);
  });
});

describe('the agent of the old leader, started again in its lease', () => {
  const crashed = pg.stopped({ state: 'in production' });
  const starts = (scene: Scene) =>
    decide(observation({ nowMs: NOW_MS, settings: settings('b', { dynamic: on }), pg: crashed, ...scene }), memory()).steps;
  const asPrimary = { kind: 'start-job', job: expect.objectContaining({ role: expect.objectContaining({ kind: 'primary' }) }) };

  test('does not start PostgreSQL as a primary while etcd does not answer: the key it had may be another’s', () => {
    expect(starts({ view: null })).not.toContainEqual(asPrimary);
  });

  test('puts a key that still names it on its own lease first, so that no take-over succeeds any more', () => {
    expect(starts({ view: cluster({ leader: { name: 'b', leaseId: 'former', modRevision: TERM } }) })).toEqual([{ kind: 'attach-leader' }]);
  });

  test('finds that the key is another’s', () => {
    expect(starts({ view: cluster({ leader: { name: 'a', leaseId: 'lease-a', modRevision: '9' } }) })).not.toContainEqual(asPrimary);
  });
});
