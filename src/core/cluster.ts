/**
 * What etcd says: the cluster as every member sees it. Formats of the keys: docs/wire.md (Patroni's
 * layout). Written by the members, read by everybody; the only shared truth.
 */
import type { JsonObject } from '../support/json.ts';
import type { Lsn, Timeline } from './units.ts';

/** One linearizable read of the whole prefix. */
export interface ClusterView {
  /** etcd's header revision of the read, decimal text (64 bit). */
  readonly revision: string;
  /** null: absent; '': somebody is bootstrapping; else the system identifier in decimal. */
  readonly initialize: string | null;
  readonly config: ConfigKey | null;
  readonly leader: LeaderKey | null;
  /** Sorted by name. */
  readonly members: readonly Member[];
  readonly failover: FailoverKey | null;
  readonly sync: SyncKey | null;
  readonly history: readonly HistoryEntry[];
  readonly status: StatusKey | null;
  readonly failsafe: FailsafeKey | null;
}

export interface ConfigKey {
  readonly data: JsonObject;
  readonly modRevision: string;
}

export interface LeaderKey {
  readonly name: string;
  readonly leaseId: string;
  readonly modRevision: string;
}

export type MemberRole = 'primary' | 'replica' | 'standby_leader' | 'demoted' | 'uninitialized' | 'promoted';

export type PostgresState =
  | 'initializing new cluster'
  | 'initdb failed'
  | 'running custom bootstrap script'
  | 'custom bootstrap failed'
  | 'creating replica'
  | 'running'
  | 'starting'
  | 'starting after custom bootstrap'
  | 'start failed'
  | 'restarting'
  | 'restart failed'
  | 'stopping'
  | 'stopped'
  | 'stop failed'
  | 'crashed'
  | 'unknown';

/** One `members/<name>` key, as far as it could be read. */
export interface Member {
  readonly name: string;
  readonly leaseId: string | null;
  readonly connUrl: string | null;
  readonly apiUrl: string | null;
  /** `master` written by old versions reads as `primary`. */
  readonly role: MemberRole | null;
  readonly state: PostgresState;
  readonly version: string | null;
  readonly tags: Tags;
  /** primary: flush position; replica: max(receive, replay). */
  readonly lsn: Lsn | null;
  readonly receiveLsn: Lsn | null;
  readonly replayLsn: Lsn | null;
  readonly replicationState: string | null;
  readonly timeline: Timeline | null;
  readonly pendingRestart: boolean;
  readonly pendingRestartReason: Readonly<Record<string, { old_value: string; new_value: string }>> | null;
  readonly scheduledRestart: JsonObject | null;
  /** false only on a primary whose post-promotion checkpoint is still running. */
  readonly checkpointAfterPromote: boolean;
  readonly pause: boolean;
  /** The whole object as stored. */
  readonly raw: JsonObject;
}

/** Tags as configured; predefined ones typed, custom ones kept. */
export interface Tags {
  readonly nofailover?: boolean;
  readonly failover_priority?: number;
  readonly noloadbalance?: boolean;
  readonly clonefrom?: boolean;
  readonly replicatefrom?: string;
  readonly nosync?: boolean;
  readonly sync_priority?: number;
  readonly nostream?: boolean;
  readonly [custom: string]: unknown;
}

/** A request of the operator, as `failover` holds it. `{}` on the wire reads as null here. */
export interface FailoverKey {
  /** Set: a switchover away from this member. Unset: a failover. */
  readonly leader: string | null;
  readonly candidate: string | null;
  /** Epoch milliseconds. */
  readonly scheduledAtMs: number | null;
  /** As written, for display. */
  readonly scheduledAt: string | null;
  /** Who asked, and when, if the writer of the key says so: `alice@bastion (10.0.0.7)`. */
  readonly requestedBy?: string;
  readonly requestedAt?: string;
  readonly modRevision: string;
}

/** Who may be promoted without loss. Names compare case-insensitively. */
export interface SyncKey {
  readonly leader: string | null;
  readonly quorum: number;
  /** Sorted; never contains the leader. */
  readonly standbys: readonly string[];
  readonly modRevision: string;
}

/** One switch of timelines. Entries read from a .history file lack the last two. */
export interface HistoryEntry {
  readonly timeline: Timeline;
  /** Where the timeline ended. */
  readonly switchLsn: Lsn;
  readonly reason: string;
  /** ISO 8601. */
  readonly timestamp?: string;
  readonly newLeader?: string;
}

export interface StatusKey {
  readonly optime: Lsn | null;
  readonly slots: Readonly<Record<string, Lsn>>;
  readonly retainSlots: readonly string[];
  /**
   * What tells the timeline the leader writes on from another of its number
   * (PostgresFacts.timelineFingerprint); absent: not told.
   */
  readonly writesOn?: { readonly leader: string; readonly timeline: Timeline; readonly timelineFingerprint: string };
  /**
   * Slots of members that an operator gave up for good, and when (epoch seconds): see
   * core/forgotten.ts. Absent: none.
   */
  readonly forgotten?: Readonly<Record<string, number>>;
}

/** The members that a leader without etcd has to ask: by name, where to. */
export type FailsafeMap = Readonly<Record<string, string>>;

export interface FailsafeKey {
  /** Empty also where it cannot be read. */
  readonly map: FailsafeMap;
  readonly modRevision: string;
}

/** Some member has made the cluster, and its system identifier stands in etcd. */
export const isInitialized = ({ initialize }: ClusterView): boolean => initialize !== null && initialize !== '';

export function memberOf(view: ClusterView, name: string): Member | null {
  return view.members.find((member) => member.name === name) ?? null;
}

export function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

/**
 * Timeline the cluster is on by its recorded history: the last switch plus one; null when nothing
 * was recorded.
 */
export function clusterTimeline(view: ClusterView): Timeline | null {
  const last = view.history.at(-1);
  return last ? last.timeline + 1 : null;
}

/**
 * `nofailover` wins over `failover_priority`; a priority of 0 or less forbids leadership as well.
 */
export function mayLead(tags: Tags): boolean {
  if (tags.nofailover !== undefined) return !tags.nofailover;
  return (tags.failover_priority ?? 1) > 0;
}

export function failoverPriority(tags: Tags): number {
  if (tags.nofailover !== undefined) return tags.nofailover ? 0 : 1;
  return tags.failover_priority ?? 1;
}

/** Tags that a member publishes when it is about to stop: no synchronous set takes it. */
export const LEAVING: Tags = { nosync: true, sync_priority: 0 };

/** `nosync` wins over `sync_priority`; 0 or less: never a synchronous standby. */
export function syncPriority(tags: Tags): number {
  if (tags.nosync !== undefined) return tags.nosync ? 0 : 1;
  return tags.sync_priority ?? 1;
}

/**
 * Every agent publishes a `conn_url`, old Patroni versions too. A member key without one was
 * written by hand, or by something else.
 */
export const isMemberRecord = ({ connUrl }: Pick<Member, 'connUrl'>): boolean => connUrl !== null;
