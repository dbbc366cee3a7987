/**
 * The local PostgreSQL: its processes, files and answers. Every operation has a deadline and throws
 * a RegentError with a stable code. It leaves either the old state or a state that observe()
 * recognises (see DataDirState 'incomplete').
 */

import type { CallbackAction, ServerRole, Source } from '../core/effects.ts';
import type { PostgresFacts, SourceHistory, TimelineStart, WalEnd } from '../core/postgres-facts.ts';
import type { FenceMark } from '../core/quorum/fence-mark.ts';
import type { BinaryOption, Settings } from '../core/settings.ts';
import type { LogicalOutcome, LogicalSlot, LogicalWork } from '../core/slots/logical-work.ts';
import type { Lsn, Timeline } from '../core/units.ts';
import type { Gucs } from '../pgconf/guc.ts';
import type { Complaint } from '../pgconf/guc-complaints.ts';

export interface Bounded {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export interface StopOptions extends Bounded {
  /**
   * How long before_stop may take, before `timeoutMs` begins; 0: it is not run. Absent: half of
   * `timeoutMs` in a fast stop, and none in an immediate one.
   */
  readonly beforeStopMs?: number;
  readonly successors?: readonly string[];
  readonly onClosed?: () => void;
}

export interface ApplyOutcome {
  /** Some file was rewritten, or the operator has asked for a reload: others may have been. */
  readonly changed: boolean;
  readonly reloaded: boolean;
  /**
   * Why some of the files that PostgreSQL can do without for its role were not written; empty: all
   * were.
   */
  readonly notWritten: readonly string[];
}

/** `state`: what PostgreSQL keeps of the slot on disk. `restart`: where its WAL begins. */
export interface SlotCopy {
  readonly name: string;
  readonly restart: Lsn;
  readonly state: Uint8Array;
}

export interface Postgres {
  /**
   * New settings (start, reload, dynamic change). Takes effect at the next apply, start or restart.
   */
  configure(settings: Settings): void;

  /**
   * The operator asks for a reload. At the next apply the server reads all its files again, also
   * those that Regent does not write (certificates, includes).
   */
  reloadAsked(): void;

  /**
   * Facts that are all gathered after the call, within the time given. It takes twice the time when
   * it has to wait for a call under way. Never throws.
   */
  observe(options: { readonly timeoutMs: number }): Promise<PostgresFacts>;

  /**
   * Calls back when the postmaster this node runs on is gone (exit event, or an existence check
   * every 100 ms on an adopted one).
   */
  onPostmasterGone(listener: () => void): void;

  /**
   * Writes postgresql.conf, pg_hba.conf, pg_ident.conf, the passfile and the signal file for the
   * role. `syncNames` is synchronous_standby_names where Regent owns it, null where the user's
   * value stands. Reloads a running server when something changed. Does so too when the server may
   * have missed an earlier change, because the process that made it ended or was interrupted before
   * the reload. It writes first what PostgreSQL needs for its role. If a file that the role does
   * not need cannot be written, everything else is still written and taken up. `only: 'role'`: no
   * other.
   */
  apply(role: ServerRole, options: Bounded & { readonly only?: 'role' }): Promise<ApplyOutcome>;

  /**
   * Regent-owned synchronous_standby_names; null: the user's own value. Written by the next
   * apply/start; setSyncNames applies at once.
   */
  setSyncNames(value: string | null, options: Bounded): Promise<void>;

  /**
   * Starts for the role and returns once connections are accepted. `onSpawn` is called as soon as
   * the postmaster's pid is known. `clientsOut`: a primary accepts those of replication and of the
   * agent only, where its access rules can be narrowed so.
   */
  start(
    role: ServerRole,
    options: Bounded & { readonly onSpawn?: (pid: number) => void; readonly freshCopy?: boolean; readonly clientsOut?: boolean },
  ): Promise<Pick<ApplyOutcome, 'notWritten'>>;

  /**
   * Lets clients into a server that was started with `clientsOut` (PostgresFacts.clientsOut). The
   * access rules of the node count from here on.
   */
  admitClients(options: Bounded): Promise<void>;

  /**
   * Stops; escalates fast to immediate to SIGKILL of every process of the server at the deadline.
   * Returns when all are gone.
   *
   * A fast stop lets every connected standby confirm everything. With `successors` (a primary's;
   * core/shutdown-wait.ts) it gives up the standbys that have not done so DRAIN_PATIENCE_MS after
   * everything was written. It does that only if one of the successors has everything, or there are
   * none. Without it is as patient as PostgreSQL. Consumers of logical slots and base backups are
   * ended after a second in any case.
   *
   * `onClosed` is called once, of a fast stop that takes longer: nothing can be written any more,
   * and no standby is waited for. What is left (the archiver) keeps only this node waiting. A stop
   * that ends sooner does not call it.
   */
  stop(mode: 'fast' | 'immediate', options: StopOptions): Promise<void>;

  /**
   * Ends these walsenders, of which some may be gone already. A standby that is there connects
   * again. Returns when they are gone, or at the deadline.
   */
  endWalsenders(pids: readonly number[], options: Bounded): Promise<void>;

  /** Asks for promotion and returns once pg_is_in_recovery() is false. */
  promote(options: Bounded): Promise<void>;
  checkpoint(options: Bounded): Promise<void>;
  resumeReplay(options: Bounded): Promise<void>;

  /** Ends a walsender, if the process is still one of that application_name. */
  endWalsender(pid: number, name: string, options: Bounded): Promise<void>;
  /** Ends the walreceiver, if the process is still that. PostgreSQL starts another one. */
  endReceiver(pid: number, options: Bounded): Promise<void>;

  /**
   * initdb (or the custom method), first start, users, post_bootstrap. Leaves a running primary on
   * a directory that is 'incomplete' by 'publication' until markPublished. The mark tells the next
   * agent that it never led.
   */
  bootstrap(options: Bounded & { readonly onSpawn?: (pid: number) => void }): Promise<{ readonly systemIdentifier: string }>;
  /**
   * Durable once it returns. Call it when etcd has this directory's system identifier, and before
   * the leader key is taken with it.
   */
  markPublished(): Promise<void>;
  /**
   * A node whose data were replaced by a base backup (PostgresFacts.restored) has caught up with a
   * leader.
   */
  markCaughtUp(): Promise<void>;
  /**
   * Whether the node has WAL of its own that nothing else tells (PostgresFacts.strayed). Durable
   * once it returns.
   */
  markStrayed(strayed: boolean): Promise<void>;
  /**
   * Whether somebody promoted the node beside the leader (PostgresFacts.openedByHand). Durable once
   * it returns.
   */
  markOpenedByHand(opened: boolean): Promise<void>;
  /** The promise of a voter (PostgresFacts.fence), or null for none. Durable once it returns. */
  markFence(mark: FenceMark | null): Promise<void>;
  /**
   * Makes a new data directory from the source by the configured methods, in their order;
   * `fromLeader`: by pg_basebackup only. Source null: by those that work without a leader. Refuses
   * when the directory is 'valid' (see removeDataDirectory). Does not start. What a method of the
   * user's made counts as restored (PostgresFacts.restored).
   */
  clone(source: Source | null, options: Bounded & { readonly fromLeader: boolean }): Promise<void>;
  /**
   * pg_rewind against a running primary, server stopped. Throws REWIND_FAILED with pg_rewind's own
   * words.
   */
  rewind(source: Source, options: Bounded): Promise<void>;
  /**
   * Of a primary that crashed, server stopped: where its last record lies in the history of the
   * source, the directory is a standby's afterwards. Throws COMPARE_DIVERGED when it does not,
   * REWIND_BLIND when the source has other records there, COMPARE_UNKNOWN and COMPARE_NO_PROGRAM
   * when the WAL here could not be read, SOURCE_UNREACHABLE. Then the directory stays as it was.
   */
  compare(source: Source, options: Bounded): Promise<void>;
  /**
   * Throws unless the data directory can be removed and made again, for the cluster of that system
   * identifier. The error names what is in the way. Changes nothing, except that an empty directory
   * of another user's (lost+found) may be gone. Ask before anything is stopped.
   */
  checkRemake(cluster: string | null): Promise<void>;
  /**
   * Moves the data directory aside (`<dir>.removed`, replacing an older one) or deletes it. The
   * caller has made sure that it does not hold the only copy of an acknowledged commit. Entries
   * that are not PostgreSQL's are moved aside in any case, where that can be done.
   */
  removeDataDirectory(options: Bounded & { readonly keepAside: boolean }): Promise<void>;

  /**
   * Asks a peer's PostgreSQL for its timeline and history over a replication connection. Where the
   * asker's own timeline is one of them, it also asks how the peer's WAL of that timeline begins.
   * The peer may no longer have that WAL, or the rewind user may not read it. Where both are on one
   * timeline, it also asks whether the peer has the records in which the asker's WAL ends. Throws
   * SOURCE_UNREACHABLE.
   */
  sourceHistory(source: Source, options: Bounded & { readonly own?: TimelineStart; readonly end?: WalEnd }): Promise<SourceHistory>;

  syncSlots(
    plan: {
      readonly create: readonly string[];
      readonly drop: readonly string[];
      readonly advance: Readonly<Record<string, Lsn>>;
      readonly renew?: readonly string[];
      readonly reasons?: Readonly<Record<string, string>>;
    },
    options: Bounded,
  ): Promise<void>;

  /**
   * Makes logical slots and moves them on, and asks the primary what it holds back. Takes long:
   * making one waits for the transactions of clients. Does all it can; `failures` says what it
   * could not.
   */
  workLogicalSlots(
    work: LogicalWork,
    options: Bounded,
  ): Promise<Omit<LogicalOutcome, 'endedAtMs'> & { readonly failures: readonly string[] }>;
  /**
   * Logical slots as the leader has them, those that would work here; the others are logged. Throws
   * when none is left, or PostgreSQL would not start with them: SLOT_NOT_COPIED. Changes nothing.
   */
  fetchSlots(leader: Source, wanted: readonly LogicalSlot[], options: Bounded): Promise<readonly SlotCopy[]>;
  /**
   * Puts them in the place of what is there, durably, except those whose WAL has gone since; tells
   * which. The server is stopped.
   */
  placeSlots(copies: readonly SlotCopy[]): Promise<readonly string[]>;
  /** Takes them away again. The server is stopped. */
  removeSlots(names: readonly string[]): Promise<void>;

  /**
   * Removes the history files of timelines later than that one, of a server that is stopped.
   * Returns their names.
   */
  forgetTimelines(after: Timeline): Promise<readonly string[]>;

  /**
   * What PostgreSQL objects to in parameters that nobody has stored yet; changes nothing. Null: it
   * cannot be asked. Never throws.
   */
  judgeParameters(parameters: Gucs, options: Bounded): Promise<readonly Complaint[] | null>;

  /**
   * Starts the configured callback script, and does not wait for its end. Throws
   * CALLBACK_NOT_STARTED.
   */
  runCallback(action: CallbackAction, role: string): Promise<void>;
  /** pre_promote; false when the script exits non-zero. True when there is none. */
  prePromote(options: Bounded): Promise<boolean>;

  /** Releases connections and listeners; PostgreSQL goes on. */
  close(): Promise<void>;
}

export type { BinaryOption };
