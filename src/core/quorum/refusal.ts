/**
 * Without synchronous mode nothing but the lease keeps an old primary from acknowledging commits.
 * Where the settings allow it, another kind of evidence is worth as much: the kernel of the
 * leader's machine says that nobody listens at the ports of its agent and of its PostgreSQL. A
 * machine that is off, frozen or cut off says nothing, and its lease is waited for.
 *
 * An agent that is started again puts the leader key on its own lease before it starts PostgreSQL.
 * So the key has another revision then, and no take-over succeeds that was judged on the one
 * before.
 */
import { type ClusterView, sameName } from '../cluster.ts';
import { type Context, wantedSource } from '../context.ts';
import { type Answer, type DrawnTable, firstAnswer, onlyAnswer, type Row } from '../decision-table.ts';
import { backoffText, backsOff } from '../race/backoff.ts';
import { dueRequest } from '../race/operator-request.ts';
import { raceVerdict } from '../race/race.ts';
import type { DynamicSettings } from '../settings.ts';
import { beats } from './in-force.ts';
import { perView } from './per-view.ts';
import { isBound } from './vouching.ts';

type Settings = Pick<DynamicSettings, 'failoverFence' | 'failoverOnRefusal' | 'pause' | 'synchronousMode'>;

interface ClusterFacts {
  readonly view: ClusterView;
  readonly dynamic: Settings;
}

const mute = ({ view }: ClusterFacts) => view.members.filter((member) => !beats(member)).map(({ name }) => name);
const names = (f: ClusterFacts) => mute(f).join(', ');

export const unheededRows: readonly Row<ClusterFacts, 'lease'>[] = [
  {
    id: 'refusal.by-setting',
    situation: 'failover_on_refusal is off, or failover_fence is lease',
    when: ({ dynamic }) => !dynamic.failoverOnRefusal || dynamic.failoverFence === 'lease',
    verdict: 'lease',
    because: ({ dynamic }) => (dynamic.failoverOnRefusal ? 'failover_fence is set to lease' : 'failover_on_refusal is off'),
  },
  {
    id: 'refusal.synchronous',
    situation: 'synchronous_mode is not off, or /sync still names standbys',
    when: ({ view, dynamic }) => dynamic.synchronousMode !== 'off' || (view.sync?.standbys.length ?? 0) > 0,
    verdict: 'lease',
    because: () => 'commits are, or were a moment ago, confirmed by standbys',
  },
  {
    id: 'refusal.paused',
    situation: 'the cluster is paused',
    when: ({ dynamic }) => dynamic.pause,
    verdict: 'lease',
    because: () => 'the cluster is paused',
  },
  {
    id: 'refusal.nobody-leads',
    situation: 'nobody holds the leader key, or its holder has no member key',
    when: ({ view: { leader, members } }) => leader === null || !members.some(({ name }) => sameName(name, leader.name)),
    verdict: 'lease',
    because: () => 'nobody leads, or where the leader listens is not known',
  },
  {
    id: 'refusal.without-beats',
    situation: 'a member knows of no beats: it runs Patroni, or an older Regent',
    when: (f) => mute(f).length > 0,
    verdict: 'lease',
    because: (f) => `${names(f)} knows of no beats: it runs Patroni, or an older Regent`,
  },
];

export const unheededTable: DrawnTable = {
  title: 'Are refused connections heeded',
  situation: 'the lease is the fence in force; where no row applies, they are',
  rows: unheededRows,
};

export const unheeded = (view: ClusterView, dynamic: Settings): Answer<'lease'> | null => firstAnswer(unheededRows, { view, dynamic });

const isHeeded = perView((view: ClusterView, dynamic: Settings) => unheeded(view, dynamic) === null);

/** The members listen for beats, and knock, although the lease is the fence. */
export const heedsRefusals = (view: ClusterView | null, dynamic: Settings): boolean =>
  view !== null && dynamic.failoverOnRefusal && isHeeded(view, dynamic);

/** By this node's own knocks nobody listens at the ports of the leader, and that counts. */
export function isRefused(c: Context): boolean {
  return c.otherLeader !== null && c.o.links.knocks?.refusedTwice === true && heedsRefusals(c.view, c.o.settings.dynamic);
}

/** WAL comes from the leader: some process of it is there. */
function streamsFromLeader(c: Context): boolean {
  return c.o.pg.sql?.receiver?.status === 'streaming' && wantedSource(c)?.name === c.otherLeader;
}

/** What this node tells the others; null: nothing. */
export function refusedTerm(c: Context): string | null {
  return isRefused(c) && !streamsFromLeader(c) ? (c.view?.leader?.modRevision ?? null) : null;
}

export type OnRefusal = 'wait' | 'wait a moment' | 'take';

interface RefusalFacts {
  readonly c: Context;
  readonly leader: string;
  /** Members that answered and were not refused in this term. */
  readonly others: readonly string[];
  readonly race: Answer<'take' | 'leave' | 'leave for now'>;
}

/** Null: this node was not refused, or the lease decides. */
export function refusalVerdict(c: Context): Answer<OnRefusal> | null {
  const { leader } = c.view ?? {};
  if (!leader || !c.isStandby || !isRefused(c)) return null;
  const peers = [...(c.o.peers?.values() ?? [])].filter(({ name }) => !sameName(name, leader.name));
  const others = peers.filter((peer) => peer.refusedTerm !== leader.modRevision).map(({ name }) => name);
  return onlyAnswer(refusalRows, { c, leader: leader.name, others, race: raceVerdict(c) });
}

export const refusalRows: readonly Row<RefusalFacts, OnRefusal>[] = [
  {
    id: 'refused.vouched',
    situation: 'this node has vouched for a leader, or its agent before may have, and that time is not over',
    when: ({ c }) => isBound(c),
    verdict: 'wait a moment',
    because: ({ leader }) => `this node may have vouched for ${leader} a moment ago`,
  },
  {
    id: 'refused.streaming',
    situation: 'WAL still comes from the leader: a process of it is there',
    when: ({ c }) => streamsFromLeader(c),
    verdict: 'wait a moment',
    because: ({ leader }) => `${leader} refuses connections, but the walreceiver still has one`,
  },
  {
    id: 'refused.not-asked',
    situation: 'the other members have not been asked in this round',
    when: ({ c }) => c.o.peers === null,
    verdict: 'wait a moment',
    because: () => 'the other members have not been asked yet',
  },
  {
    id: 'refused.operator-asked',
    situation: 'an operator’s switchover or failover is due: that is for after the lease',
    when: ({ c }) => dueRequest(c) !== null,
    verdict: 'wait',
    because: () => 'an operator asked for a change of the leader, which is carried out when the lease has ended',
  },
  {
    id: 'refused.not-by-all',
    situation: 'a member that answers was not refused at both ports in this term of the leader',
    when: ({ others }) => others.length > 0,
    verdict: 'wait',
    because: ({ others, leader }) => `${leader} refuses connections of this node, but not of ${others.join(', ')}`,
  },
  {
    id: 'refused.backoff',
    situation:
      'primary_race_backoff is set, and the leader has refused connections for less than that and one loop_wait; it does not say that its PostgreSQL is down',
    when: ({ c }) => backsOff(c, c.m.missesLeaderSinceMs),
    verdict: 'wait',
    because: ({ c }) => backoffText(c, c.m.missesLeaderSinceMs),
  },
  {
    id: 'refused.leave',
    situation: 'by the tables of the race another should lead, or this node must not',
    when: ({ race }) => race.verdict !== 'take',
    verdict: 'wait',
    because: ({ race }) => race.because,
  },
  {
    id: 'refused.take',
    situation: 'otherwise',
    when: () => true,
    verdict: 'take',
    because: ({ leader, race }) =>
      `nothing listens at the ports of ${leader} any more, as every member that answers found; ${race.because}`,
  },
];

export const refusalTable: DrawnTable = {
  title: 'A standby whose leader refuses connections',
  situation: 'refused connections are heeded, and both ports of the leader refused this standby twice',
  rows: refusalRows,
};
