/**
 * What an agent shows of itself: the source of the member key, the REST answers and the metrics.
 */
import type { MemberRole, PostgresState, Tags } from '../core/cluster.ts';
import type { OwnWord } from '../core/peer-facts.ts';
import type { SqlFacts } from '../core/postgres-facts.ts';
import type { Lsn, Timeline } from '../core/units.ts';
import type { JsonObject } from '../support/json.ts';

/** A reinitialization that was asked for over REST, and what came of it. */
export interface Reinitialization {
  /** No other request to this member has the same one, before or after a restart of its agent. */
  readonly job: string;
  readonly state: 'waiting' | 'running' | 'done' | 'failed';
  /** Of one that failed: why. */
  readonly reason: string | null;
}

/** Since the agent began. */
export interface Counts {
  readonly roleChanges: number;
  readonly promotions: number;
  readonly promotionFailures: number;
  /** This node was a primary, and is none any more. */
  readonly demotions: number;
  /** Another member than before was seen to lead. */
  readonly leaderChanges: number;
  /** Those of them that no operator had asked for. */
  readonly failovers: number;
  /** Rounds in which etcd could not be read. */
  readonly etcdFailures: number;
  readonly rewinds: number;
  readonly rewindFailures: number;
  readonly clones: number;
  readonly cloneFailures: number;
  readonly startFailures: number;
  /** Rounds that ended with an error. */
  readonly roundFailures: number;
  /** The guard was gone, and was started again. */
  readonly guardLosses: number;
}

export const noCounts: Counts = {
  roleChanges: 0,
  promotions: 0,
  promotionFailures: 0,
  demotions: 0,
  leaderChanges: 0,
  failovers: 0,
  etcdFailures: 0,
  rewinds: 0,
  rewindFailures: 0,
  clones: 0,
  cloneFailures: 0,
  startFailures: 0,
  roundFailures: 0,
  guardLosses: 0,
};

export interface GuardStatus {
  /** It can be told a deadline, as far as is known. */
  readonly healthy: boolean;
  /** `unknown`: an order to it has not been confirmed. */
  readonly state: 'armed' | 'disarmed' | 'unknown';
  /**
   * Until it stops PostgreSQL unless it is told otherwise; null: it will not, or it is not known.
   */
  readonly strikesInMs: number | null;
  /** Guard.tethered. */
  readonly tethered?: boolean | null;
}

/** How this member stands to the others where voters' promises may replace the lease. */
export interface QuorumStatus {
  /** etcd could not be read in the last round. */
  readonly isDcsAway: boolean;
  /** Voters by whose word this leader goes on leading at this moment. */
  readonly vouchedForBy: readonly string[];
  /** By what this member misses its leader; null: it does not. */
  readonly missesLeader: string | null;
  /** The leader from which it has promised to take no more WAL; null: none. */
  readonly promisedAgainst: string | null;
}

/** How this member stands to failsafe mode (core/failsafe.ts). */
export interface FailsafeStatus {
  /** This leader goes on by it, or this member has agreed that another does. */
  readonly isActive: boolean;
  /** The map names this member. */
  readonly isMember: boolean;
  /** Of a leader that goes on by it: who agreed. */
  readonly agreedBy: readonly string[];
}

export interface AgentStatus extends OwnWord {
  readonly name: string;
  readonly scope: string;
  /** Of the dialect, as Patroni's members compare it. */
  readonly version: string;
  /** Regent's own, with the commit it was built from. */
  readonly build?: string;
  readonly state: PostgresState;
  readonly role: MemberRole;
  /** The last answer of the running server; null when it is not running or did not answer. */
  readonly sql: SqlFacts | null;
  readonly systemIdentifier: string | null;
  /**
   * Where the WAL on disk ends at least, of a server that is down; null: nothing there could lead.
   * Absent: not known.
   */
  readonly onDisk?: { readonly timeline: Timeline; readonly lsn: Lsn } | null;
  /** As etcd was last read we hold the leader key, and the lease it is on is valid now. */
  readonly isLeader: boolean;
  readonly paused: boolean;
  /** No view of etcd, or nobody holds the leader key. */
  readonly clusterUnlocked: boolean;
  /** Epoch seconds of the last successful read of etcd; 0: never. */
  readonly dcsLastSeen: number;
  readonly tags: Tags;
  readonly pendingRestart: boolean;
  readonly pendingRestartReason: Readonly<Record<string, { old_value: string; new_value: string }>>;
  readonly scheduledRestart: JsonObject | null;
  /**
   * etcd's revision of the dynamic configuration that pendingRestart was judged by; null: none has
   * been applied yet.
   */
  readonly configRevision?: string | null;
  /** The last one that this agent was asked for since it started. */
  readonly reinitialization?: Reinitialization | null;
  /** Label of the running job, e.g. `reinitialize`. */
  readonly jobLabel: string | null;
  /** Clock.bootMs of the last finished round, and when the next is due. For /liveness. */
  readonly lastRoundAtMs: number;
  readonly nextRoundAtMs: number;
  /** Now, on the same clock. */
  readonly nowMs: number;
  /** Rule that decided the last round, and its sentence. */
  readonly rule: string;
  readonly because: string;
  /** Agent's own figures. */
  readonly rounds: number;
  readonly counts?: Counts;
  readonly guard?: GuardStatus;
  /** Absent: no round has ended yet. */
  readonly quorum?: QuorumStatus;
  readonly failsafeMode?: FailsafeStatus;
  /** Leader only: how long the lease still lets us lead, ms. */
  readonly leaseRemainingMs?: number | null;
  /** false only on a primary whose post-promotion checkpoint is still running. */
  readonly checkpointAfterPromote?: boolean;
  /**
   * Why a standby does not get its WAL from the leader, where that is known:
   * `not streaming from pg-2: …`.
   */
  readonly sourceTrouble?: string | null;
  /**
   * Permanent logical slots that a promotion of this standby would create again; null or absent: it
   * keeps none, or its PostgreSQL does not tell.
   */
  readonly missingLogicalSlots?: readonly string[] | null;
  /** It waits for its turn to copy logical slots (core/slots/copies.ts). */
  readonly awaitsSlotCopy?: boolean;
  /**
   * Why this leader goes on as a primary although `standby_cluster` is set; null or absent: it does
   * not.
   */
  readonly refusedStandbyCluster?: string | null;
  /** Why this primary keeps clients out (core/admission.ts); null or absent: it does not. */
  readonly clientsWait?: string | null;
  /** Servers that stream from this primary under the name of a member, in words. */
  readonly strangers?: readonly string[];
  /** Why its PostgreSQL does not let the agent in, and since when (epoch seconds). */
  readonly lockedOut?: { readonly reason: string; readonly since: number } | null;
  /** The server's processes are there, and it did not answer in time. */
  readonly unresponsive?: boolean;
  /**
   * What postmaster.pid names and nobody knows, in words: nothing is started, led or replaced
   * meanwhile.
   */
  readonly unexplained?: string | null;
  /** Chores that fail, by what they are called, and why. */
  readonly failing?: Readonly<Record<string, string>>;
}

/** What health checks look at. */
export type Standing = Pick<AgentStatus, 'name' | 'state' | 'role' | 'sql' | 'isLeader' | 'paused'>;
