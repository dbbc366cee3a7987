/** What the rules look at: the observation with the questions every rule asks already answered. */
import { type Authority, authorityAfter, leads, stepDownAtMs } from './authority.ts';
import { type ClusterView, type Member, memberOf } from './cluster.ts';
import { parseConninfo } from './conninfo.ts';
import { divergenceFrom } from './divergence.ts';
import { opensForWrites, type ServerRole, type Source } from './effects.ts';
import { sourceOf } from './member-source.ts';
import type { Memory, Observation } from './model.ts';
import { promoteCluster } from './operator-commands.ts';
import { type PostgresFacts, walPosition } from './postgres-facts.ts';
import { fenceFor, holds } from './quorum/fence-mark.ts';
import { placeText, remoteSource } from './remote.ts';
import { upstreamOf } from './upstream.ts';
import { includes, syncVoters } from './voters.ts';
import { correctIt, wrongRemote } from './wrong-remote.ts';

/**
 * As a primary that finds itself without the leader key: after a pause, or when etcd has lost it.
 */
const UNLOCKED_MS = 2000;

export interface Context {
  readonly o: Observation;
  readonly m: Memory;
  readonly me: string;
  /** null: etcd did not answer in this round. */
  readonly view: ClusterView | null;
  /** As observed, and with the leader key as `view` shows it. */
  readonly authority: Authority;
  readonly paused: boolean;
  /** The leader key names us. */
  readonly lockMine: boolean;
  /** … and is on the lease we hold. */
  readonly attached: boolean;
  /** Name of another holder of the leader key. */
  readonly otherLeader: string | null;
  /** etcd was read and nobody holds the key. */
  readonly unlocked: boolean;
  /** This cluster follows a server outside of it: no node of it may take writes. */
  readonly followsRemote: boolean;
  /** Why it cannot follow the server outside that is named; null: nothing known is against it. */
  readonly wrongRemote: string | null;
  /** Until when our own lease would let us lead; null: there is none. */
  readonly stepDownAtMs: number | null;
  /**
   * The moment is not past, and the leader key is on this lease, or was when etcd could be read.
   */
  readonly mayLeadNow: boolean;
  /** The moment is not past, whoever holds the key. */
  readonly withinLease: boolean;
  readonly stopped: boolean;
  readonly isPrimary: boolean;
  readonly isStandby: boolean;
  /**
   * A server of somebody's that this node has not taken over, and now cannot: it refuses the agent,
   * etcd does not answer, or it is another cluster's. Nobody was led to it by us, and nobody counts
   * on it being stopped: it goes on as it is.
   */
  readonly unadopted: boolean;
  /**
   * PostgreSQL takes writes now, or may begin to without anybody asking again; and it is for us to
   * stop it.
   */
  readonly mayBeWritable: boolean;
  /**
   * This voter has promised to take no more WAL from the member that leads now, in this term and
   * with this synchronous set. Not known while etcd does not answer: it then streams from nobody
   * new anyway.
   */
  readonly fenced: boolean;
}

export function contextOf(seen: Observation, m: Memory): Context {
  const followsRemote = seen.settings.dynamic.standbyCluster !== null;
  const wrong = followsRemote ? wrongRemote(seen) : null;
  // What it says of its history tells nothing of this node's.
  const o = wrong === null || seen.source === null ? seen : { ...seen, source: null };
  const me = o.settings.local.name;
  const view = !o.dcs.known ? null : followsRemote && o.dcs.view.sync === null ? withoutHistory(o.dcs.view) : o.dcs.view;
  const leader = view?.leader ?? null;
  const lockMine = leader?.name === me;
  const attached = lockMine && leader.leaseId === o.authority.lease.leaseId && o.authority.lease.leaseId !== null;
  const authority = view === null ? o.authority : authorityAfter(o.authority, keyRead(view, me));
  const stepDown = stepDownAtMs(authority);
  const { pg } = o;
  const sql = pg.state === 'running' ? pg.sql : null;
  const isPrimary = sql !== null && !sql.inRecovery;
  const isStandby = sql?.inRecovery === true;
  const promoting = o.job?.job.kind === 'promote';
  // standby.signal stays until the end of a promotion; without an answer it is the best evidence
  // there is.
  const notWritable = !promoting && (sql === null ? pg.standbySignal : isStandby);
  const unadopted = isUnadopted(o, authority, lockMine, view);
  return {
    o,
    m,
    me,
    view,
    authority,
    paused: o.settings.dynamic.pause,
    lockMine,
    attached,
    otherLeader: leader !== null && !lockMine ? leader.name : null,
    unlocked: view !== null && leader === null,
    followsRemote,
    wrongRemote: wrong,
    stepDownAtMs: stepDown,
    mayLeadNow: leads(authority, o.nowMs),
    withinLease: stepDown !== null && o.nowMs < stepDown,
    stopped: pg.state === 'stopped',
    isPrimary,
    isStandby,
    unadopted,
    mayBeWritable: pg.postmaster !== null && !notWritable && pg.closed !== true && !unadopted,
    fenced: isFenced(pg, view),
  };
}

const withoutHistories = new WeakMap<ClusterView, ClusterView>();

/**
 * The timelines of a standby cluster are those of the server that it follows. /history is of the
 * time in which this cluster began its own. It counts for as long as /sync does: until the standby
 * leader streams, the setting may be taken back, and then a member must not lead without what
 * this cluster has acknowledged.
 */
function withoutHistory(view: ClusterView): ClusterView {
  if (view.history.length === 0) return view;
  let plain = withoutHistories.get(view);
  if (plain === undefined) {
    plain = { ...view, history: [] };
    withoutHistories.set(view, plain);
  }
  return plain;
}

/** What it promised cannot be read: a server that streams has promised nothing. */
function isFenced({ fence, sql }: PostgresFacts, view: ClusterView | null): boolean {
  if (fence === undefined || view === null) return false;
  if (fence === 'unreadable') return fenceFor(view) !== null && sql?.receiver == null;
  return holds(fence, view);
}

/** What a reading of etcd says of the leader key, to the authority of the member `me`. */
export const keyRead = ({ leader }: ClusterView, me: string) =>
  ({ kind: 'key-read', keyOn: leader?.name === me ? leader.leaseId : null }) as const;

function isUnadopted({ pg, job }: Observation, { key }: Authority, lockMine: boolean, view: ClusterView | null): boolean {
  if (pg.unmanaged !== true || pg.postmaster === null || pg.dataDir !== 'valid') return false;
  // An agent that has led with this server, or is at work on it, has taken it over.
  if (lockMine || key !== null || job !== null) return false;
  return pg.sql === null || view === null || isOfAnotherCluster(pg, view);
}

/** etcd names a cluster, and the data here are of that one. */
export function isOfCluster(pg: PostgresFacts, view: ClusterView | null): boolean {
  return view !== null && pg.dataDir === 'valid' && pg.systemIdentifier !== null && pg.systemIdentifier === view.initialize;
}

/** etcd names a cluster, and the data are another's. */
export function isOfAnotherCluster(pg: PostgresFacts, view: ClusterView): boolean {
  const initialized = view.initialize !== null && view.initialize !== '';
  return initialized && pg.systemIdentifier !== null && pg.dataDir === 'valid' && view.initialize !== pg.systemIdentifier;
}

/**
 * The leader's member key, once its PostgreSQL is out of recovery, or leads a standby cluster: only
 * then may anybody clone from it. Null also for one that this node has promised to leave.
 */
export function readyLeader(c: Context): Member | null {
  if (c.view === null || c.otherLeader === null || c.fenced) return null;
  const member = memberOf(c.view, c.otherLeader);
  const leadsStandbys = c.followsRemote && member?.role === 'standby_leader' && member.state === 'running';
  const isReady = member?.role === 'primary' || leadsStandbys;
  return member !== null && isReady && member.connUrl !== null ? member : null;
}

/** Where that leader is reached. */
export function readySource(c: Context): Source | null {
  const leader = readyLeader(c);
  return leader === null ? null : sourceOf(leader);
}

/**
 * The primary whose history this node must be a prefix of, and from which it is rewound: the
 * leader, or the server that a standby cluster follows. Null: there is none, or it is not ready.
 */
export function comparedWith(c: Context): Source | null {
  if (c.followsRemote) return c.fenced || keepsForSync(c) ? null : remoteSource(c.o.settings.dynamic);
  return readySource(c);
}

/**
 * /sync, of the time before the cluster followed a server outside, counts on what is here. Until
 * the standby leader has deleted it, the setting may be a mistake that is taken back, and the next
 * leader is then elected by what is here. Half rewound data have lost that already.
 */
function keepsForSync({ lockMine, me, view, o }: Context): boolean {
  if (lockMine || view === null || o.pg.dataDir === 'incomplete') return false;
  return includes(syncVoters(view, o.settings.dynamic.synchronousMode) ?? [], me);
}

/** This standby leads a standby cluster, as far as etcd says. */
export const isStandbyLeader = (c: Context): boolean => c.followsRemote && c.lockMine && c.isStandby;

/** Somebody leads whom a standby here can follow: another member, or the server outside. */
export const hasLeader = (c: Context): boolean => c.otherLeader !== null || isStandbyLeader(c);

/**
 * This node wrote WAL of its own, and it is not known yet whether the server outside has that: its
 * archive and its WAL would take the place of what tells the two apart.
 */
export function awaitsRemote(c: Context): boolean {
  if (remoteSource(c.o.settings.dynamic) === null) return false;
  return (c.m.endedAt !== null || c.m.strayed) && divergenceFrom(c.o.pg, c.o.source) === 'unknown';
}

/** Why that is not known, as far as can be told. */
export function whyRemoteUnknown({ o, wrongRemote: wrong }: Context): string {
  if (wrong !== null) return `${wrong}; ${correctIt(o)}`;
  const { source } = o;
  const why =
    source?.inRecovery === true
      ? `${source.name} is a standby itself and does not have the last WAL of this node; only a primary tells that it never will`
      : 'the server outside did not tell its history';
  return `${why}; for a writable cluster again: ${promoteCluster(o.settings.local.scope)}`;
}

/** The server that this node streams from; null: none. */
export function wantedSource(c: Context): Source | null {
  const { tags } = c.o.settings.local;
  if (tags.nostream || c.view === null || c.fenced || awaitsRemote(c)) return null;
  if (c.followsRemote && c.lockMine) return c.wrongRemote === null ? remoteSource(c.o.settings.dynamic) : null;
  if (c.otherLeader === null) return null;
  const own = c.o.pg.sql === null ? null : walPosition(c.o.pg.sql);
  const source = memberOf(c.view, upstreamOf(c.view, c.otherLeader, { name: c.me, tags, lsn: own }));
  return source === null ? null : sourceOf(source);
}

/** As PostgreSQL's configuration names its source. */
export function pointsAt(c: Context, source: Source | null): boolean {
  const text = c.o.pg.sql?.primaryConninfo ?? '';
  if (source === null) return text === '';
  const now = parseConninfo(text);
  const { host, port } = placeText(source);
  return now !== null && now['host'] === host && now['port'] === port;
}

/** At members each has a slot of its own. At the server outside, the setting names the one. */
export const isOnSlot = ({ o }: Context, source: Source | null): boolean =>
  source?.remote === undefined || o.pg.sql === null || o.pg.sql.primarySlotName === (source.remote.slot ?? '');

/**
 * The server outside, without the slot there that this standby uses although it may not lead. Only
 * one server can use that slot, and the next leader needs it. Null: it uses none.
 */
export function withoutRemoteSlot(c: Context): Source | null {
  const remote = remoteSource(c.o.settings.dynamic);
  if (remote?.remote == null || remote.remote.slot === null || c.mayLeadNow) return null;
  if (!c.isStandby || !pointsAt(c, remote) || !isOnSlot(c, remote)) return null;
  return { ...remote, remote: { ...remote.remote, slot: null } };
}

/** How long a primary may go on taking writes while it tries to take the key. */
export function unlockedMs({ o }: { readonly o: Pick<Observation, 'settings'> }): number {
  return Math.min(UNLOCKED_MS, o.settings.dynamic.ttlSeconds * 250);
}

/**
 * A primary has been without the leader key, or with it on a lease that is not this agent's, for
 * longer than that: its guard knows nothing of when to stop it.
 */
export function isUnprotected(c: Context): boolean {
  return c.m.unlockedSinceMs !== null && c.o.nowMs - c.m.unlockedSinceMs >= unlockedMs(c);
}

/** As far as is known: a primary that does not answer once may answer again. */
export const isPrimaryOrSilent = ({ isPrimary, m, o: { pg } }: Context, memory: Memory = m): boolean =>
  isPrimary || (memory.role === 'primary' && pg.sql === null && (pg.state === 'unresponsive' || pg.state === 'running'));

/** A job is about to make PostgreSQL writable, under the leader key. */
export function isOpeningForWrites(c: Context): boolean {
  const job = c.o.job?.job;
  return job !== undefined && opensForWrites(job);
}

/**
 * A running primary as it is: rewriting its files must not weaken the synchronous set in force,
 * which only syncStep may change.
 */
export function primaryRole(c: Context): ServerRole {
  const owned = c.o.settings.dynamic.synchronousMode !== 'off';
  return { kind: 'primary', syncNames: owned ? (c.o.pg.sql?.synchronousStandbyNames ?? '') : null };
}

/** This node is on a timeline that, by /history, the cluster has left. */
export function isLeftBehind(c: Context): boolean {
  const timeline = c.o.pg.sql?.timeline ?? null;
  return timeline !== null && (c.view?.history ?? []).some((entry) => entry.timeline === timeline);
}
