/**
 * What a decision may ask for. Short effects run in order, inside the round; at most one job runs
 * beside the rounds. Each effect carries the facts it was judged on (revisions, names), so that
 * acting re-checks them.
 */

import type { JsonObject, JsonValue } from '../support/json.ts';
import type { ConfigKey, FailoverKey, FailsafeKey, FailsafeMap, SyncKey } from './cluster.ts';
import type { FenceMark } from './quorum/fence-mark.ts';
import type { Endpoint } from './settings.ts';
import type { LogicalWork } from './slots/logical-work.ts';
import type { Lsn, Timeline } from './units.ts';

export type CallbackAction = 'on_start' | 'on_stop' | 'on_restart' | 'on_reload' | 'on_role_change';

/** Where a standby streams or clones from. */
export interface Source {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Present: a server outside of this cluster, which a standby cluster follows. */
  readonly remote?: RemoteSource;
}

interface RemoteSource {
  /** Where else it may be: the one that takes writes is meant. */
  readonly others: readonly Endpoint[];
  /** The slot to use there; null: none. */
  readonly slot: string | null;
}

/**
 * The role for which the server configuration is written. `syncNames` is the
 * synchronous_standby_names a primary opens with where Regent owns it; null: the user's own value;
 * absent: as it was set last. It is part of the role because a primary that opens with less than
 * /sync counts on would lose acknowledged commits at the next failover.
 */
export type ServerRole =
  | { readonly kind: 'primary'; readonly syncNames?: string | null }
  /**
   * `patient`: where the source sends nothing, PostgreSQL tries again after seconds, not at once.
   * `leads`: it leads a standby cluster. Absent: it does only if its source is outside.
   */
  | { readonly kind: 'standby'; readonly source: Source | null; readonly patient?: boolean; readonly leads?: true };

export type Effect =
  /** `withinMs`: a server that takes writes meanwhile has no more time for it. */
  | { readonly kind: 'acquire-leader'; readonly withinMs?: number }
  /**
   * Put the leader key, which already names us, on the lease we hold now (after an agent's restart,
   * or a new ttl).
   */
  | { readonly kind: 'attach-leader' }
  | { readonly kind: 'release-leader'; readonly optime: Lsn | null }
  /** Create `initialize` on our lease: the winner bootstraps in the same round. */
  | { readonly kind: 'race-initialize' }
  | { readonly kind: 'write-initialize'; readonly systemIdentifier: string; readonly onlyIfAbsent: boolean }
  | { readonly kind: 'write-config'; readonly data: JsonObject; readonly expected: ConfigKey | null }
  | {
      readonly kind: 'write-sync';
      readonly leader: string;
      readonly quorum: number;
      readonly standbys: readonly string[];
      readonly expected: SyncKey | null;
      /** The revision of the leader key by which this node leads: without it nothing is written. */
      readonly term: string | null;
    }
  | { readonly kind: 'delete-sync'; readonly expected: SyncKey; readonly term: string | null }
  | { readonly kind: 'write-status'; readonly value: JsonObject }
  /** `term`: as with write-sync. */
  | { readonly kind: 'write-failsafe'; readonly map: FailsafeMap; readonly expected: FailsafeKey | null; readonly term: string | null }
  | { readonly kind: 'write-history'; readonly value: JsonValue[] }
  | { readonly kind: 'clear-failover'; readonly expected: FailoverKey }
  | { readonly kind: 'set-sync-names'; readonly value: string }
  /**
   * Rewrite configuration files for the role and reload where that is enough. `only: 'role'`: those
   * that tell PostgreSQL its source and its synchronous standbys, even if others fail.
   */
  | { readonly kind: 'apply-config'; readonly role: ServerRole; readonly only?: 'role' }
  | {
      readonly kind: 'sync-slots';
      readonly create: readonly string[];
      readonly drop: readonly string[];
      readonly advance: Readonly<Record<string, Lsn>>;
      /**
       * Dropped and made again: they keep nothing, or an xmin that nobody advances. Absent: none.
       */
      readonly renew?: readonly string[];
      /** Why those in `drop` go, for the log. */
      readonly reasons?: Readonly<Record<string, string>>;
    }
  /** It runs beside everything else. While one runs, another is ignored. */
  | { readonly kind: 'logical-slots'; readonly work: LogicalWork }
  /** End a walsender, if it is still that of this name. */
  | { readonly kind: 'end-walsender'; readonly pid: number; readonly name: string }
  /** End the walreceiver, if it is still that process; PostgreSQL starts another one at once. */
  | { readonly kind: 'end-receiver'; readonly pid: number }
  | { readonly kind: 'resume-replay' }
  /**
   * Let clients into a primary that was started without them. `warn`: not everything is confirmed.
   */
  | { readonly kind: 'admit-clients'; readonly because: string; readonly warn: boolean }
  /**
   * etcd has the system identifier of what a bootstrap made here: it is a data directory like any
   * other from now on.
   */
  | { readonly kind: 'mark-published' }
  /** What this node may lack after a base backup was restored on it has come from the leader. */
  | { readonly kind: 'mark-caught-up' }
  /**
   * Whether this node has WAL of its own that neither its position nor its timeline tells, so that
   * an agent that starts while nobody leads knows it.
   */
  | { readonly kind: 'mark-strayed'; readonly strayed: boolean }
  /** Whether somebody promoted this node beside the leader, so that a later agent knows it. */
  | { readonly kind: 'mark-opened-by-hand'; readonly opened: boolean }
  /** This voter's promise to take no more WAL from a leader; null: let go of what was promised. */
  | { readonly kind: 'mark-fence'; readonly mark: FenceMark | null }
  /**
   * Put the leader key and /sync in the name of this node, if the key still has that revision
   * (`term`) and /sync as well.
   */
  | {
      readonly kind: 'take-over';
      readonly term: string;
      readonly expected: SyncKey;
      readonly quorum: number;
      readonly standbys: readonly string[];
    }
  /** Put the leader key in the name of this node, if it still has that revision. */
  | { readonly kind: 'take-refused'; readonly term: string }
  /** It runs beside everything else. While one runs, another is ignored. */
  | { readonly kind: 'checkpoint' }
  /**
   * Stop PostgreSQL now, inside the round, because every millisecond of writability is a danger.
   */
  | { readonly kind: 'demote-now'; readonly mode: 'fast' | 'immediate' }
  | { readonly kind: 'start-job'; readonly job: Job }
  | { readonly kind: 'cancel-job'; readonly reason: string }
  | {
      readonly kind: 'run-callback';
      readonly action: CallbackAction;
      readonly role: string;
      /** SqlFacts.postmasterStartTime of the server it is about; null: none runs. */
      readonly startedAt: string | null;
    }
  | { readonly kind: 'exit'; readonly code: number; readonly message: string };

/** `why` of a start or restart that an operator asked for. */
export const RESTART = 'restart';

/** Long work, one at a time. Its end wakes the loop and its outcome is a fact of the next round. */
export type Job =
  | { readonly kind: 'bootstrap' }
  /**
   * The first member of a standby cluster, from the server that the cluster follows. `source` null:
   * a method of the user's brings the data.
   */
  | { readonly kind: 'bootstrap-standby'; readonly source: Source | null }
  /**
   * `source` null: nobody leads, and a method of the user's needs nobody. `fromLeader`: the
   * operator asked for that, so pg_basebackup is the only method.
   */
  | { readonly kind: 'clone'; readonly source: Source | null; readonly sourceRole?: 'leader' | 'replica'; readonly fromLeader: boolean }
  /** Reinitialize at the operator's request: stop, remove, clone. */
  | { readonly kind: 'reinitialize'; readonly source: Source; readonly fromLeader: boolean }
  | { readonly kind: 'start'; readonly role: ServerRole; readonly why: string }
  | { readonly kind: 'restart'; readonly role: ServerRole; readonly why: string; readonly timeoutMs: number | null }
  | { readonly kind: 'promote'; readonly syncNames: string | null }
  /** Ordered handover: checkpoint, fast stop, then release the leader key. */
  | { readonly kind: 'handover'; readonly action: 'switchover' | 'failover' | 'shutdown'; readonly candidate: string | null }
  /** The same, and the leader key is kept: this node is to lead a standby cluster. */
  | { readonly kind: 'demote-cluster' }
  /** `follow`: the server that this node streams from afterwards. Absent: the source. */
  | { readonly kind: 'rewind'; readonly source: Source; readonly follow?: Source | null }
  /**
   * Where all WAL of this crashed primary is in the history of the source, it becomes its standby.
   * Otherwise nothing is changed. `follow`: as for a rewind.
   */
  | { readonly kind: 'compare'; readonly source: Source; readonly follow?: Source | null }
  /** A standby stops, gets logical slots as `source`, its leader, has them, and starts again. */
  | { readonly kind: 'copy-slots'; readonly source: Source; readonly slots: readonly string[]; readonly role: ServerRole }
  /**
   * A standby stops, gives up the history files of timelines later than `timeline`, which is its
   * own, and starts again: PostgreSQL then fetches those of its source.
   */
  | { readonly kind: 'retarget'; readonly timeline: Timeline; readonly role: ServerRole }
  | { readonly kind: 'checkpoint' };

export type JobKind = Job['kind'];

export interface JobOutcome {
  readonly job: Job;
  readonly ok: boolean;
  /** Stable code of the error, when it failed. */
  readonly code: string | null;
  readonly message: string | null;
  /** Loop clock, ms. */
  readonly endedAtMs: number;
  /** Observation.configVersion when it began. */
  readonly configVersion?: number;
  /** The logical slots that it has copied, of those it was to. */
  readonly copied?: readonly string[];
  /** true: the server was taken down for it. Absent: it was not. */
  readonly stopped?: true;
}

export interface RunningJob {
  readonly job: Job;
  readonly startedAtMs: number;
  /** true: it takes the server down, or has done so. Absent: not yet, or it never does. */
  readonly stopping?: true;
}

/** The job makes PostgreSQL writable, if it succeeds. */
export function opensForWrites(job: Job): boolean {
  return job.kind === 'promote' || ((job.kind === 'start' || job.kind === 'restart') && job.role.kind === 'primary');
}

/** It starts a promotion. */
export const promotes = (effect: Effect): boolean => effect.kind === 'start-job' && effect.job.kind === 'promote';

/** It begins to make a standby of a primary, which stays one. */
export const demotes = (effect: Effect): boolean =>
  effect.kind === 'demote-now' || (effect.kind === 'start-job' && effect.job.kind === 'demote-cluster');

/** The job takes a primary down in good order; PostgreSQL takes writes until it has. */
export const stopsInOrder = (job: Job | undefined): boolean => job?.kind === 'handover' || job?.kind === 'demote-cluster';

/** Name under which Patroni's REST and logs know a job. */
export function jobLabel(job: Job): string {
  switch (job.kind) {
    case 'bootstrap':
      return 'bootstrap';
    case 'bootstrap-standby':
      return 'bootstrap_standby_leader';
    case 'demote-cluster':
      return 'demoting to a standby cluster';
    case 'clone':
      return job.source === null ? 'bootstrap (without leader)' : `bootstrap from ${job.sourceRole ?? 'leader'} '${job.source.name}'`;
    case 'reinitialize':
      return 'reinitialize';
    case 'start':
      return job.why;
    case 'restart':
      return job.why;
    case 'promote':
      return 'promote';
    case 'handover':
      return job.action === 'shutdown' ? 'shutdown' : `${job.action === 'failover' ? 'manual failover' : job.action}: demote`;
    case 'compare':
      return `comparing the end of the WAL with ${job.source.name}`;
    case 'rewind':
      return `running pg_rewind from ${job.source.name}`;
    case 'copy-slots':
      return 'copy_logical_slots';
    case 'retarget':
      return 'restarting to follow the timeline of the leader';
    case 'checkpoint':
      return 'checkpoint';
  }
}
