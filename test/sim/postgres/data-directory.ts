/** What is on the disk of one PostgreSQL: it outlives its processes, and is all that a crash leaves. */
import type { DataDirState, IncompleteWork } from '../../../src/core/postgres-facts.ts';
import { type Lsn, ZERO_LSN } from '../../../src/core/units.ts';
import { Branch, branchAt, FIRST_LSN, type Position, plus } from '../wal.ts';
import type { ServerProcess } from './process.ts';

const COMMIT_BYTES = 152;

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
  /** pg_controldata's word while stopped, the latest checkpoint, and how far a standby must replay before it opens. */
  controlState = 'shut down';
  checkpoint: Position = this.position;
  minRecovery: Position | null = null;
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
  /** Callback scripts cannot be started. */
  scriptsGone = false;
  /** What the agent does not know under the pid in postmaster.pid: the server that runs, or whoever got the pid of one that is gone. */
  unseen: ServerProcess | null = null;
  pidTaken = false;
  readonly slots = new Map<string, Lsn>();
  /** The last one that was advanced by order, and where it was before. */
  advancedSlot: { readonly name: string; readonly from: Lsn } = { name: '', from: ZERO_LSN };

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

  /** Crash recovery by a server that takes nobody in: what pg_rewind begins with. */
  finishRecovery(): void {
    if (this.controlState.startsWith('shut down')) return;
    this.checkpoint = this.position;
    this.minRecovery = null;
    this.controlState = 'shut down';
  }

  /** The directory becomes a copy of the source as it is now. */
  become(source: DataDirectory): void {
    this.systemId = source.systemId;
    // A standby that is copied from has what it has replayed; what it has only received does not count for the copy's end.
    this.position = source.position;
    this.checkpoint = source.checkpoint;
    this.oldestLsn = source.oldestLsn;
    this.filesFrom = source.filesFrom;
    this.minRecovery = source.position;
    this.controlState = 'in archive recovery';
    this.replayLsn = source.position.lsn;
    this.signal = true;
    this.slots.clear();
  }

  replaceDisk(): void {
    this.dir = 'missing';
    this.position = nowhere();
    this.work = null;
    this.systemId = null;
    this.signal = false;
    this.minRecovery = null;
    this.slots.clear();
  }

  /** The bytes with which the WAL of that branch begins can be read from a file. */
  hasBeginningOf(branch: Branch): boolean {
    return branch.parent !== null && branch.forkLsn >= this.filesFrom && branch.forkLsn >= this.oldestLsn;
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
