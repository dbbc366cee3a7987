/**
 * What is on the disk of one PostgreSQL: it outlives its processes, and is all that a crash leaves.
 */
import type { DataDirState, IncompleteWork } from '../../../src/core/postgres-facts.ts';
import type { FenceMark } from '../../../src/core/quorum/fence-mark.ts';
import { type Lsn, ZERO_LSN } from '../../../src/core/units.ts';
import { Branch, branchAt, FIRST_LSN, type Position, plus, reachOn } from '../wal.ts';
import type { ServerProcess } from './process.ts';

const COMMIT_BYTES = 152;
const OWN_RECORD_BYTES = 120;

const nowhere = (): Position => ({ branch: new Branch(1, null, ZERO_LSN, ''), lsn: ZERO_LSN });

export class DataDirectory {
  dir: DataDirState = 'missing';
  work: IncompleteWork | null = null;
  systemId: string | null = null;
  position: Position = nowhere();
  replayLsn: Lsn = ZERO_LSN;
  replayPaused = false;
  inRecovery = false;
  signal = false;
  /**
   * pg_controldata's word while stopped, the latest checkpoint, and how far a standby must replay
   * before it opens.
   */
  controlState = 'shut down';
  checkpoint: Position = this.position;
  minRecovery: Position | null = null;
  /** A base backup somebody put there, until a server has recovered it: where recovery begins. */
  backup: Position | null = null;
  /** It was put there, and has not been seen to catch up since. */
  restored = false;
  /** The agent found that it was opened by hand beside the leader, and noted it. */
  strayed = false;
  /** The agent saw it promoted by hand beside the leader, and noted it. */
  openedByHand = false;
  /** What it promised as a voter, beside the directory. */
  fence: FenceMark | null = null;
  /** WAL before this is gone. */
  oldestLsn: Lsn = ZERO_LSN;
  /** Files of WAL that reach back before this were not there when the directory was cloned. */
  filesFrom: Lsn = ZERO_LSN;
  /** How much WAL is kept for nobody in particular. */
  walKeepBytes = 1 << 30;
  /** Files that cannot be written: pg_hba.conf and its like, or postgresql.conf as well. */
  stuckFiles: 'none' | 'access' | 'all' = 'none';
  /** All replication slots are in use: none can be made. */
  slotsTaken = false;
  /** The agent's new connections are refused; what is connected goes on. */
  lockedOut = false;
  /** A server that is rewound from here may order a checkpoint. */
  rewindMayCheckpoint = true;
  /** Callback scripts cannot be started. */
  scriptsGone = false;
  /**
   * The unknown process under the pid in postmaster.pid: the server that runs, or a process that
   * got the pid of one that is gone.
   */
  unseen: ServerProcess | null = null;
  pidTaken = false;
  readonly slots = new Map<string, Lsn>();
  /** The last one that was advanced by order, and where it was before. */
  advancedSlot: { readonly name: string; readonly from: Lsn } = { name: '', from: ZERO_LSN };

  /** It need not have what it has confirmed, and knows. */
  get forgetful(): boolean {
    return this.restored || this.backup !== null;
  }

  /** A new cluster's data directory, with a server to be started on it. */
  initialize(systemId: string): void {
    this.systemId = systemId;
    this.position = { branch: new Branch(1, null, ZERO_LSN, ''), lsn: FIRST_LSN };
    this.checkpoint = this.position;
    this.oldestLsn = ZERO_LSN;
    this.filesFrom = ZERO_LSN;
    this.minRecovery = null;
    this.controlState = 'shut down';
    this.signal = false;
  }

  /**
   * Crash recovery by a server that takes nobody in, which pg_rewind begins with. It writes a
   * record of its own, on the later of two timelines. One is the latest checkpoint's, the other
   * that of the replayed WAL's end (InitWalRecovery in xlogrecovery.c). What was received of a
   * later one, and never replayed, it does not read.
   */
  finishRecovery(): void {
    if (this.controlState === 'shut down') return;
    const found = this.minRecovery?.branch ?? this.position.branch;
    const end = reachOn(found, this.position);
    const { branch, lsn } = end === null ? this.position : { branch: found, lsn: end };
    const own = new Branch(branch.timeline, branch, lsn, 'crash recovery');
    this.checkpoint = { branch: own, lsn };
    this.position = { branch: own, lsn: plus(lsn, OWN_RECORD_BYTES) };
    this.minRecovery = null;
    this.backup = null;
    this.controlState = 'shut down';
  }

  /** As the adapter notes beside the directory before it starts somebody's copy as a standby. */
  noteCopy(follows: boolean): void {
    if (this.backup !== null || (follows && this.controlState === 'in production')) this.restored = true;
  }

  /**
   * Somebody removes what is there, and puts a base backup in its place that was made when the WAL
   * ended there.
   */
  restore(source: DataDirectory, at: Position, signal: boolean): void {
    this.become(source);
    this.dir = 'valid';
    this.work = null;
    this.position = at;
    this.checkpoint = at;
    this.backup = at;
    this.minRecovery = null;
    this.controlState = 'in production';
    this.replayLsn = at.lsn;
    this.filesFrom = at.lsn;
    this.signal = signal;
  }

  /** The disk of a server that crashed as a primary when its WAL ended there. */
  copyDisk(source: DataDirectory, at: Position): void {
    this.restore(source, at, false);
    this.backup = null;
  }

  /**
   * pg_promote() by hand, and a crash before the first checkpoint: nothing was acknowledged there.
   */
  promoteByHand(): void {
    const { branch, lsn } = this.position;
    const own = new Branch(branch.timeline + 1, branchAt(this.position, lsn), lsn, 'no recovery target specified');
    own.isByHand = true;
    this.position = { branch: own, lsn: plus(lsn, OWN_RECORD_BYTES) };
    this.minRecovery = this.position;
    this.controlState = 'in production';
    this.signal = false;
  }

  /** The directory becomes a copy of the source as it is now. */
  become(source: DataDirectory): void {
    this.systemId = source.systemId;
    // A standby that is copied from has what it has replayed; what it has only received does not
    // count for the copy's end.
    this.position = source.position;
    this.checkpoint = source.checkpoint;
    this.oldestLsn = source.oldestLsn;
    this.filesFrom = source.filesFrom;
    this.minRecovery = source.position;
    this.backup = null;
    this.restored = false;
    this.strayed = false;
    this.openedByHand = false;
    this.controlState = 'in archive recovery';
    this.replayLsn = source.position.lsn;
    this.signal = true;
    this.slots.clear();
  }

  replaceDisk(): void {
    this.fence = null;
    this.dir = 'missing';
    this.position = nowhere();
    this.work = null;
    this.systemId = null;
    this.signal = false;
    this.minRecovery = null;
    this.backup = null;
    this.restored = false;
    this.strayed = false;
    this.openedByHand = false;
    this.slots.clear();
  }

  /** The bytes with which the WAL of that branch begins can be read from a file. */
  hasStartOf(branch: Branch): boolean {
    return branch.parent !== null && branch.forkLsn >= this.filesFrom && branch.forkLsn >= this.oldestLsn;
  }

  /**
   * By number it belongs to the history here, but the file that it would be sent from is gone, or
   * never came with the copy. Of the timeline that a copy begins on, the whole segment came.
   */
  hasLostWalAt({ branch: { timeline }, lsn }: Position): boolean {
    const { history, timeline: current } = this.position.branch;
    if (timeline !== current && !history.some((left) => left.timeline === timeline && lsn <= left.switchLsn)) return false;
    return lsn < this.oldestLsn || (lsn < this.filesFrom && timeline < branchAt(this.position, this.filesFrom).timeline);
  }

  /** WAL that no slot holds and that is old enough goes. */
  recycle(): void {
    let keep = this.checkpoint.lsn > BigInt(this.walKeepBytes) ? plus(this.checkpoint.lsn, -this.walKeepBytes) : ZERO_LSN;
    for (const lsn of this.slots.values()) if (lsn < keep) keep = lsn;
    if (keep > this.oldestLsn) this.oldestLsn = keep;
  }

  /** How far a standby must replay before it opens again. */
  noteRecovery(): void {
    this.minRecovery = { branch: branchAt(this.position, this.replayLsn), lsn: this.replayLsn };
  }

  /** To the WAL, flushed. */
  append(id: number): Lsn {
    const lsn = plus(this.position.lsn, COMMIT_BYTES);
    this.position.branch.records.push({ lsn, id });
    return lsn;
  }
}
