/**
 * What the local PostgreSQL says, first hand. What could not be learned within the deadline is
 * null, never a guess.
 */
import type { HistoryEntry } from './cluster.ts';
import type { FenceMark } from './quorum/fence-mark.ts';
import type { RoleName } from './settings.ts';
import { type Lsn, maxLsn, type Timeline } from './units.ts';

/**
 * What was interrupted in a data directory. bootstrap, clone: it is half made. publication: a whole
 * new cluster that has not held the leader key since. This node does not know whether etcd has its
 * system identifier. rewind: it may hold commits nobody else has.
 */
export type IncompleteWork = 'bootstrap' | 'publication' | 'clone' | 'rewind';

export interface PostgresFacts {
  readonly dataDir: DataDirState;
  /** Present when dataDir is 'incomplete'. */
  readonly incompleteWork?: IncompleteWork;
  /**
   * Present when dataDir is 'foreign' or 'inaccessible': what lies in it, or why it cannot be read.
   */
  readonly dataDirTrouble?: string;
  /** From pg_controldata or the running server; null when there is no readable cluster. */
  readonly systemIdentifier: string | null;
  /** 13 … 18, from PG_VERSION; null when there is no data directory. */
  readonly major: number | null;
  /** The live postmaster of this data directory, ours or adopted. */
  readonly postmaster: { readonly pid: number } | null;
  /**
   * postmaster.pid names this live process. It is not recognized as our server, and not proven to
   * be unrelated to it: a PostgreSQL that takes writes may be behind it. The state is
   * 'unresponsive' then. Absent: no such process.
   */
  readonly unexplained?: UnexplainedProcess;
  /**
   * stopped: no postmaster. starting: a postmaster that refuses connections (recovery, shutting
   * down). running: it answered. unresponsive: a postmaster that did not answer within the
   * deadline.
   */
  readonly state: 'stopped' | 'starting' | 'running' | 'unresponsive';
  /**
   * Present: the server is shutting down and has written its last WAL (pg_controldata: shut down).
   * It never takes writes again, whatever keeps it from ending.
   */
  readonly closed?: true;
  /** Known while running. */
  readonly sql: SqlFacts | null;
  /** Known while stopped. */
  readonly control: ControlFacts | null;
  /** The history file of the timeline this node is on, oldest first; [] on timeline 1. */
  readonly localHistory: readonly HistoryEntry[];
  /**
   * Of a standby that gets no WAL: the latest timeline that it has a history file of, where that is
   * later than the one it is on. PostgreSQL follows the latest it knows (recovery_target_timeline),
   * and refuses WAL of every other. Absent: it streams, or knows of none.
   */
  readonly aimsAt?: TimelineKnown;
  /**
   * What the WAL of the own timeline begins with, in hex. Two promotions at one point give both
   * timelines one number and one history. Only this tells them apart (M13), because the record that
   * a promotion writes first contains its time. Absent: timeline 1, not known, or nothing follows
   * that record.
   */
  readonly timelineFingerprint?: string;
  /** A standby.signal lies in the data directory: a server there opens for writes by no means. */
  readonly standbySignal: boolean;
  /**
   * Only a recovery.signal lies there. A server that starts with it recovers, and then opens for
   * writes by itself; one that runs may have opened long ago, because PostgreSQL removes the file
   * only if it began with it.
   */
  readonly recoverySignal?: true;
  /**
   * A server runs, and no agent has written its configuration yet: it was somebody's before, and is
   * until it is adopted. Absent: not so.
   */
  readonly unmanaged?: true;
  /**
   * Why the server, which runs, has not answered what it was asked: it refuses the agent at every
   * door, mostly. In its own words, with what would mend it, if known.
   */
  readonly refusal?: string;
  /**
   * Why the running server does not let the agent in when a new connection is tried, and what
   * would. Facts may still come over a connection from before (`sql`). Absent: it does, or it is
   * not known.
   */
  readonly lockedOut?: string;
  /**
   * The directory is a base backup that recovery has not brought to its end yet. Somebody restored
   * it, or the server was not started after a clone or a rewind. Until then it is not consistent,
   * and its control file describes the server that was copied. Absent: it is none.
   */
  readonly baseBackup?: Checkpoint;
  /**
   * true: somebody replaced the data by a base backup, and this node has not caught up with a
   * leader since. It may lack what it confirmed before.
   */
  readonly restored?: boolean;
  /**
   * true: this node wrote WAL of its own on its leader's timeline, as a mark beside the directory
   * says. Since then it has not streamed and was not cloned.
   */
  readonly strayed?: boolean;
  /**
   * true: somebody promoted this node beside the leader, as a mark beside the directory says. Since
   * then it has not led, and was not rewound or cloned. A mark that cannot be read counts as
   * absent, because what it says allows a rewind.
   */
  readonly openedByHand?: boolean;
  /**
   * The promise that a mark beside the directory holds: no more WAL from that leader. unreadable:
   * there is one, and what it says cannot be read. Absent: none.
   */
  readonly fence?: FenceMark | 'unreadable';
  /**
   * true: the primary was started so that it lets in replication and the agent only, until enough
   * standbys have confirmed what it recovered (core/admission.ts).
   */
  readonly clientsOut?: true;
  /**
   * Why WAL does not come, as far as asking the source has told: `not streaming from pg-2: …`,
   * `waiting for pg-2 to answer: …`. Absent: nothing known.
   */
  readonly sourceTrouble?: string;
  /**
   * true: the source does not have the WAL any more that this standby needs, and nothing else
   * brings it. Only a new copy helps.
   */
  readonly walGone?: true;
  /**
   * true: its walreceiver has been failing for the same reason for a while, so that trying again at
   * once is of no use.
   */
  readonly retriesInVain?: true;
  /** true: its files tell it to try again in seconds only (ServerRole.patient). */
  readonly retriesPatiently?: true;
  /**
   * Of a primary: for how long its disk has finished no write. Absent: nothing waits for it, as far
   * as is known.
   */
  readonly diskWaitsMs?: number;
  /**
   * The role for which all files were last written; null: this agent has not written them yet.
   * Absent: the settings are the same for every role.
   */
  readonly filesFor?: RoleName | null;
  /** Of an unresponsive server: for how long it was waited for. Absent: not at all. */
  readonly waitedMs?: number;
  /**
   * Of a standby: why its disk would not let it be promoted: `the disk of pg_wal is full`. Absent:
   * nothing is known to be in the way.
   */
  readonly promotionTrouble?: string;
}

/** A timeline with what its history file says, oldest first. */
export interface TimelineKnown {
  readonly timeline: Timeline;
  readonly history: readonly HistoryEntry[];
}

export interface UnexplainedProcess {
  readonly pid: number;
  /** As it calls itself. */
  readonly program: string;
}

export function describeUnexplained({ pid, program }: UnexplainedProcess): string {
  return `process ${pid} (${program}) is named in postmaster.pid and is not known as this node’s PostgreSQL`;
}

/** Part of `sourceTrouble` where `walGone` is true. */
export function describeWalGone({ scope, name }: { readonly scope: string; readonly name: string }): string {
  return `the WAL it needs is gone; reinit: regentctl reinit ${scope} ${name}`;
}

/**
 * The same of a standby leader, at the server outside. The other members have no more, and it is
 * refused a reinit.
 */
export function describeOutsideWalGone({ scope }: { readonly scope: string }): string {
  return `the WAL it needs is gone there; give it an archive that has it: regentctl edit-config ${scope} -s 'standby_cluster.restore_command=COMMAND'`;
}

/**
 * missing: no directory, or an empty one. incomplete: a bootstrap, clone or rewind of ours was
 * interrupted in it; it must never lead. valid: PG_VERSION and a control file. foreign: not empty,
 * and not a PostgreSQL data directory. inaccessible: cannot be read.
 */
export type DataDirState = 'missing' | 'incomplete' | 'valid' | 'foreign' | 'inaccessible';

export interface SqlFacts {
  readonly inRecovery: boolean;
  /** e.g. 150018 */
  readonly serverVersion: number;
  /**
   * Primary: its timeline. Standby: the timeline being received or replayed. Null when it cannot be
   * told.
   */
  readonly timeline: Timeline | null;
  /** Primary only: pg_current_wal_flush_lsn(). */
  readonly flushLsn: Lsn | null;
  /** Standby only: max(pg_last_wal_receive_lsn, written). */
  readonly receiveLsn: Lsn | null;
  readonly replayLsn: Lsn | null;
  readonly replayPaused: boolean;
  /** PostgreSQL has paused it, because a limit here is lower than the primary's. Absent: not so. */
  readonly pausedByLimits?: true;
  /**
   * Standby only, true: it has not replayed all WAL on its own disk yet, so it has more than
   * `receiveLsn` and `replayLsn` tell.
   */
  readonly replaying?: boolean;
  /** The latest checkpoint by the control file. Absent: there is a walreceiver, or no recovery. */
  readonly checkpoint?: Checkpoint;
  /** Primary only: that of the latest checkpoint by the control file. Absent: not told. */
  readonly checkpointTimeline?: Timeline;
  /** Epoch ms of the last replayed transaction, and PostgreSQL's own text for it. */
  readonly replayedTimestamp: string | null;
  /** The walreceiver, when there is one that has a connection. */
  readonly receiver: ReceiverFacts | null;
  /** A walreceiver that has none yet, and since when it has been there. Absent: no such. */
  readonly connecting?: { readonly pid: number; readonly ageMs: number };
  /** Connected walsenders. */
  readonly replication: readonly WalsenderFacts[];
  readonly slots: readonly SlotFacts[];
  /** PostgreSQL 17+: as a standby it synchronizes failover slots by itself. Absent: it does not. */
  readonly syncsSlots?: true;
  readonly synchronousStandbyNames: string;
  /**
   * Commits are known to wait as those names say. False: PostgreSQL's checkpointer has not been
   * seen to take them up, and until it does, commits may return without waiting. True where there
   * are none.
   */
  readonly obeysSyncNames: boolean;
  readonly synchronousCommit: string;
  /** The settings in force now. */
  readonly primaryConninfo: string;
  readonly primarySlotName: string;
  readonly restoreCommand: string;
  /** `YYYY-MM-DD HH:MM:SS.ffffff+00:00` */
  readonly postmasterStartTime: string;
  /** Settings that wait for a restart: name to old and new value. */
  readonly pendingRestart: Readonly<Record<string, { old_value: string; new_value: string }>>;
}

export interface ReceiverFacts {
  readonly pid?: number;
  readonly status: string;
  readonly receivedTimeline: Timeline | null;
  readonly slotName: string | null;
  readonly conninfo: string;
  readonly senderHost: string | null;
  readonly senderPort: number | null;
  readonly latestEndLsn: Lsn | null;
  /** How long ago its source sent its last message. Absent: not known. */
  readonly silentMs?: number;
}

export interface WalsenderFacts {
  readonly pid: number;
  readonly usename: string;
  readonly applicationName: string;
  readonly clientAddr: string | null;
  readonly state: string;
  readonly syncState: string;
  readonly syncPriority: number;
  readonly writeLsn: Lsn | null;
  readonly flushLsn: Lsn | null;
  readonly replayLsn: Lsn | null;
  /**
   * When the standby sent its last reply, by its own clock: only a change of it says something
   * here. Null: no reply yet.
   */
  readonly replyTime: string | null;
}

export interface SlotFacts {
  readonly name: string;
  readonly type: 'physical' | 'logical';
  readonly active: boolean;
  /** Process that uses it; null or absent: none, or not known. */
  readonly activePid?: number | null;
  readonly restartLsn: Lsn | null;
  readonly confirmedFlushLsn: Lsn | null;
  readonly xmin: string | null;
  readonly plugin: string | null;
  readonly database: string | null;
  readonly walStatus: string | null;
  /** The oldest transaction whose effect on the catalogs its consumer may need. */
  readonly catalogXmin?: string | null;
  /** PostgreSQL 17+: standbys are to have it too. */
  readonly failover: boolean;
  /** PostgreSQL 17+: this server has it from its primary. Absent: it has not. */
  readonly synced?: boolean;
}

export interface Checkpoint {
  readonly timeline: Timeline;
  readonly checkpointLsn: Lsn;
}

export interface ControlFacts {
  readonly systemIdentifier: string;
  /**
   * pg_controldata's words: 'in production', 'shut down', 'shut down in recovery', 'in archive
   * recovery', 'in crash recovery', 'shutting down'.
   */
  readonly state: string;
  readonly checkpointLsn: Lsn;
  /** Timeline of the latest checkpoint. */
  readonly timeline: Timeline;
  readonly minRecoveryLsn: Lsn | null;
  readonly minRecoveryTimeline: Timeline | null;
  readonly dataChecksums: boolean;
  readonly walLogHints: boolean;
  /** true: recovery of a base backup has begun and has not come to the backup's end. */
  readonly backupUnfinished?: boolean;
}

/** Where a timeline begins. */
export interface TimelineStart {
  readonly timeline: Timeline;
  readonly from: Lsn;
}

/** The end of a standby's WAL, and when it was seen to move there; null: it was not. */
export interface WalSeen {
  readonly lsn: Lsn;
  readonly movedAtMs: number | null;
}

/**
 * The records in which the WAL of a server ended that wrote its own. They are its latest checkpoint
 * and, where it did not end in good order, what followed.
 */
export interface WalEnd {
  readonly timeline: Timeline;
  readonly checkpointLsn: Lsn;
  /** More may follow. */
  readonly open: boolean;
}

/**
 * What a peer's PostgreSQL (the leader's) says of its history, asked over a replication connection.
 */
export interface SourceHistory {
  readonly name: string;
  readonly systemIdentifier: string;
  readonly timeline: Timeline;
  readonly lsn: Lsn;
  readonly history: readonly HistoryEntry[];
  readonly inRecovery: boolean;
  /**
   * Whether its WAL has the asker's last records where the asker has them; absent: not asked, or it
   * cannot be told.
   */
  readonly hasOurEnd?: boolean;
  /**
   * PostgresFacts.timelineFingerprint of the timeline that was asked about, by its own WAL; absent:
   * not asked, or not known there any more.
   */
  readonly timelineFingerprint?: string;
}

/**
 * How far its WAL goes: on a primary what is flushed, on a standby the further of what is received
 * and what is replayed.
 */
export function walPosition(sql: SqlFacts): Lsn | null {
  return sql.inRecovery ? maxLsn(sql.receiveLsn, sql.replayLsn) : sql.flushLsn;
}
