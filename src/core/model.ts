/**
 * The vocabulary of a decision: what goes in, what comes out.
 *
 *   decide(observation, memory) → { effects, memory, rule }
 *
 * Observation: facts of this round, each with its origin; what could not be learned is null or
 * `known: false`. Memory: what decisions remember from round to round. It is lost with the process,
 * so every rule must be safe on an empty one. (What the lease, the leader key and the guard's
 * deadline allow is the observation's authority: core/authority.ts.)
 */
import type { Authority } from './authority.ts';
import type { Chore, ChoreFailures, ChoreOutcome } from './chores.ts';
import type { ClusterView, MemberRole, PostgresState } from './cluster.ts';
import type { CallbackAction, Effect, JobKind, JobOutcome, RunningJob } from './effects.ts';
import type { PeerFacts } from './peer-facts.ts';
import type { PostgresFacts, SourceHistory, WalEnd, WalSeen } from './postgres-facts.ts';
import type { LinkFacts } from './quorum/link-facts.ts';
import type { RefusedRemote } from './remote.ts';
import type { Replies } from './replies.ts';
import type { Settings } from './settings.ts';
import { type LogicalMemory, type LogicalOutcome, noLogicalMemory } from './slots/logical-work.ts';
import { noStrangers, type StrangerMemory } from './stranger-memory.ts';
import type { Lsn } from './units.ts';

export type DcsFacts = { readonly known: true; readonly view: ClusterView } | { readonly known: false; readonly reason: string };

export interface OperatorRequests {
  /** SIGTERM or SIGINT arrived. */
  readonly shutdown: boolean;
  readonly restart: { readonly timeoutMs: number | null } | null;
  readonly reinitialize: { readonly fromLeader: boolean } | null;
}

/** A callback script that was started: with which of its actions, and the role it was told. */
export interface Announcement {
  readonly action: CallbackAction;
  readonly role: string;
  /** SqlFacts.postmasterStartTime of the server it was about. Absent or null: none ran. */
  readonly startedAt?: string | null;
}

export interface Observation {
  /** Clock.bootMs at the end of observing. */
  readonly nowMs: number;
  readonly wallMs: number;
  readonly settings: Settings;
  readonly dcs: DcsFacts;
  readonly authority: Authority;
  readonly pg: PostgresFacts;
  /**
   * Answers of the other agents by name; null: not asked in this round. Who did not answer is
   * absent.
   */
  readonly peers: ReadonlyMap<string, PeerFacts> | null;
  /** History of the leader's PostgreSQL; null: not asked, or it did not answer. */
  readonly source: SourceHistory | null;
  /**
   * The server of `standby_cluster` that this leader does not follow. `settings` are then as if it
   * were not set. Absent: there is none.
   */
  readonly refusedRemote?: RefusedRemote;
  readonly links: LinkFacts;
  readonly job: RunningJob | null;
  /** Outcomes since the last round, oldest first. */
  readonly ended: readonly JobOutcome[];
  /** The same of chores. */
  readonly chores: readonly ChoreOutcome[];
  /** Callbacks that were started since the last round, oldest first. */
  readonly announced: readonly Announcement[];
  /** What came of work with logical slots since the last round, oldest first. Absent: nothing. */
  readonly logical?: readonly LogicalOutcome[];
  readonly requests: OperatorRequests;
  readonly watchdog: { readonly required: boolean; readonly healthy: boolean; readonly active: boolean };
  /** The guard could be armed whenever it was asked to; false after several failures in a row. */
  readonly guardHealthy: boolean;
  /**
   * A write to /sync whose outcome is not known may still arrive: one of this agent, or of its
   * predecessor in another process.
   */
  readonly syncUnsettled: boolean;
  /** The configuration PostgreSQL should run with differs from what was last applied. */
  readonly configDirty: boolean;
  /** Grows with every change of the settings. Absent: not told. */
  readonly configVersion?: number;
}

export interface Failure {
  readonly count: number;
  readonly lastAtMs: number;
  readonly message: string;
  /** Stable code of the error; null: it had none. */
  readonly code?: string | null;
  /** Of a rewind or a comparison: its source. What came of it says nothing about another. */
  readonly source?: string;
  /** Observation.configVersion when the job began: with other settings it may succeed. */
  readonly configVersion?: number;
}

export interface Memory {
  readonly role: MemberRole;
  readonly state: PostgresState;
  /**
   * Consecutive failures by kind of job, with the last of them. A success clears its kind. A rewind
   * has succeeded only once this node streams; until then it counts as a failed one.
   */
  readonly failures: Readonly<Partial<Record<JobKind, Failure>>>;
  /**
   * We gave the key up ourselves (failed promotion or start): keep out of the race until this
   * moment.
   */
  readonly abstainUntilMs: number | null;
  /** Since when PostgreSQL has been starting, or has not answered. */
  readonly notRunningSinceMs: number | null;
  /** Since when this leader has been asking its voters for another one; null: it does not. */
  readonly resigningSinceMs: number | null;
  /** The post-promotion checkpoint is outstanding. */
  readonly checkpointPending: boolean;
  readonly promotedAtMs: number | null;
  /**
   * synchronous_standby_names as set by us: the moment, and the flush position seen once it was in
   * force. `unobeyed`: commits are not known to wait for these names. The moment is then that of
   * the value; once it is known, it is that from which it was known.
   */
  readonly syncNamesSet: {
    readonly value: string;
    readonly atMs: number;
    readonly atLsn: Lsn | null;
    readonly unobeyed?: true;
  } | null;
  /**
   * Where the WAL of this primary ended when it was first seen after a start that keeps clients
   * out, and when that was; null: clients are let in.
   */
  readonly recovered: { readonly lsn: Lsn; readonly atMs: number } | null;
  /** When the connected standbys were last heard. */
  readonly replies: Replies;
  /** Servers that stream from this primary under the names of members. */
  readonly strangers: StrangerMemory;
  /** Member slots, by slot name: when their member was last seen. */
  readonly slotSeenAtMs: Readonly<Record<string, number>>;
  /** Slots that nothing accounts for and nobody uses, and since when. */
  readonly strangeSlots: Readonly<Record<string, number>>;
  readonly logical: LogicalMemory;
  /**
   * We stopped PostgreSQL to hand over at the operator's request, and it has not run since. It must
   * follow the successor, even while paused.
   */
  readonly handedOver: boolean;
  /** When that was. */
  readonly handedOverAtMs: number | null;
  /** Chores that fail, and have not succeeded since. */
  readonly chores: ChoreFailures;
  /** Why the running server does not let the agent in, and since when; null: it does. */
  readonly lockedOut: { readonly reason: string; readonly sinceMs: number; readonly sinceWallMs: number } | null;
  /** Role that the last callback was told; null: none was started in this process. */
  readonly announcedRole: string | null;
  /** That callback was on_stop. */
  readonly announcedStop: boolean;
  /** When the server was started that a callback was told of last; null: none was. */
  readonly announcedStart: string | null;
  /**
   * PostgreSQL was restarted, or started when it was down, at the operator's request, and
   * on_restart has not been started yet.
   */
  readonly restartUnannounced: boolean;
  /**
   * Since when a primary has been running here, outside of a pause, without the key on a lease of
   * ours.
   */
  readonly unlockedSinceMs: number | null;
  /** Since when this voter has missed its leader, or been fenced from it; null: it hears it. */
  readonly missesLeaderSinceMs: number | null;
  /** Since when etcd has said, round after round, that nobody leads; null: somebody does. */
  readonly leaderlessSinceMs: number | null;
  /**
   * Since when this standby has been seen, round after round, without a walreceiver; null: it has
   * one, or is no standby.
   */
  readonly receiverGoneSinceMs: number | null;
  /**
   * The leader key names us because this process took it, or leads by it. False: it was there when
   * this process looked, or came back with an older etcd.
   */
  readonly keyTaken: boolean;
  /** Since when the leader key names us without that; null: it does not. */
  readonly keyInheritedSinceMs: number | null;
  /**
   * This node was made a primary by somebody else while another member led: what it wrote then was
   * never acknowledged by a leader.
   */
  readonly openedByHand: boolean;
  /** This node was made a primary by somebody else while etcd did not answer. */
  readonly openedUnseen: boolean;
  /**
   * This node wrote WAL of its own on the timeline of its leader, and pg_rewind would not see it.
   * Its position and its timeline do not show that, so it is out of the race.
   */
  readonly strayed: boolean;
  /**
   * Where this node ended as a primary. It has run as a standby since, and had no leader to compare
   * with before, so its control file no longer tells whose that checkpoint is. Null: nowhere.
   */
  readonly endedAt: WalEnd | null;
  /** This agent has seen its standby stream. */
  readonly streamed: boolean;
  readonly walSeen: WalSeen | null;
  /** The last known leader other than ourselves; the failover priority rule uses it. */
  readonly lastLeader: string | null;
  /** Who held the leader key last, ourselves included. */
  readonly formerLeader: string | null;
  /**
   * The server outside that this cluster followed, as a standby cluster, until `history` has the
   * promotion that ended it; null: it did not, as far as is known.
   */
  readonly followed: string | null;
  /** Why this node took the leader key as a standby; null: it did not, or `history` has it. */
  readonly leadReason: string | null;
  /** Why this node gave up the lead; null: it did not, or somebody has led since. */
  readonly steppedDown: string | null;
  readonly refusedRemote: RefusedRemote | null;
}

export const emptyMemory: Memory = {
  role: 'uninitialized',
  state: 'unknown',
  failures: {},
  abstainUntilMs: null,
  notRunningSinceMs: null,
  resigningSinceMs: null,
  checkpointPending: false,
  promotedAtMs: null,
  syncNamesSet: null,
  recovered: null,
  replies: {},
  strangers: noStrangers,
  slotSeenAtMs: {},
  strangeSlots: {},
  logical: noLogicalMemory,
  handedOver: false,
  handedOverAtMs: null,
  chores: {},
  lockedOut: null,
  announcedRole: null,
  announcedStop: false,
  announcedStart: null,
  restartUnannounced: false,
  unlockedSinceMs: null,
  missesLeaderSinceMs: null,
  leaderlessSinceMs: null,
  receiverGoneSinceMs: null,
  keyTaken: false,
  keyInheritedSinceMs: null,
  openedByHand: false,
  openedUnseen: false,
  strayed: false,
  endedAt: null,
  streamed: false,
  walSeen: null,
  lastLeader: null,
  formerLeader: null,
  followed: null,
  leadReason: null,
  steppedDown: null,
  refusedRemote: null,
};

export interface Decision {
  /** Id of the rule that decided about leadership. */
  readonly rule: string;
  /** Its sentence, filled in: the log line, and the answer to "why". */
  readonly because: string;
  /** All that is asked for, in order: `steps`, then the effects of `chores`. */
  readonly effects: readonly Effect[];
  /** Each was judged on the success of those before it. */
  readonly steps: readonly Effect[];
  /** Each is judged by itself. */
  readonly chores: readonly Chore[];
  readonly memory: Memory;
  /** Run the next round no later than this (Clock.bootMs), although nothing may happen. */
  readonly wakeAtMs: number | null;
  /** Something is expected from other members: wake on changes of their keys as well. */
  readonly watchMembers: boolean;
  /** The leader is expected to tell something in /status. */
  readonly watchStatus: boolean;
}
