/**
 * One PostgreSQL: what is on its disk and what its processes do. It runs on without its agent, and its disk outlives its processes.
 * `position` is where the WAL on its disk ends, flushed. What a primary has not flushed nobody has seen, so it is not modelled.
 */
import type { ServerRole } from '../../src/core/effects.ts';
import type { DataDirState } from '../../src/core/postgres-facts.ts';
import { parseSyncNames, type SyncNames } from '../../src/core/sync-names.ts';
import { type Lsn, ZERO_LSN } from '../../src/core/units.ts';
import type { Gate, Simulation } from './clock.ts';
import type { Network } from './network.ts';
import { type Durations, newProcess, type ServerProcess, type Span, usualDurations } from './postgres/process.ts';
import { confirms } from './postgres/syncrep.ts';
import { type CommitEnd, type CommitOptions, WaitingCommits } from './postgres/waiting.ts';
import { Replication } from './replication.ts';
import type { Rng } from './rng.ts';
import { Branch, branchAt, FIRST_LSN, type Position, plus, SWITCH_BYTES } from './wal.ts';

const COMMIT_BYTES = 152;
const CHECKPOINT_BYTES = 120;
/** Of a promotion: until then a crash leaves the old timeline on disk, after it the new one, on which nothing was written yet. */
const SWITCH_AT = 0.7;

export interface ServerParts {
  readonly sim: Simulation;
  readonly net: Network;
  readonly rng: Rng;
  /** The machine: what happens in the server waits while it is frozen and never happens once it is off. */
  readonly gate: () => Gate;
  readonly wallMs: () => number;
  readonly trace: (line: string) => void;
  /** For checkers, before the thing happens. */
  readonly tell: (server: SimServer, event: ServerEvent) => void;
}

/** opened: takes writes from now on. removing: what the directory holds goes. slot: one was advanced. */
export type ServerEvent = 'opened' | 'promoting' | 'removing' | 'slot';

export interface Configured {
  readonly source: { readonly host: string; readonly port: number } | null;
  readonly syncNames: string;
  /** primary_slot_name. */
  readonly slot: string;
}

const nowhere = (): Position => ({ branch: new Branch(1, null, ZERO_LSN, ''), lsn: ZERO_LSN });

interface Pending {
  readonly id: number;
  readonly options: CommitOptions;
  readonly end: (how: CommitEnd) => void;
  readonly written: (lsn: Lsn) => void;
}

export class SimServer {
  readonly name: string;
  readonly parts: ServerParts;
  readonly replication: Replication;
  durations: Durations = usualDurations;
  dir: DataDirState = 'missing';
  work: 'bootstrap' | 'clone' | 'rewind' | null = null;
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
  /** How much WAL is kept for nobody in particular. */
  walKeepBytes = 1 << 30;
  process: ServerProcess | null = null;
  /** In the files. */
  file: Configured = { source: null, syncNames: '', slot: '' };
  /** In force, as SHOW tells; processes take it up a moment later. */
  live: Configured = this.file;
  readonly slots = new Map<string, Lsn>();
  /** The last one that was advanced by order. */
  advancedSlot = '';
  /** Faults: the next so many starts or promotions fail. */
  failStarts = 0;
  failPromotions = 0;
  /** No room: for WAL (the server panics), or for data only (writes are refused). */
  #full: 'no' | 'wal' | 'data' = 'no';
  readonly onChange = new Set<() => void>();
  readonly onGone = new Set<() => void>();
  readonly #waiting = new WaitingCommits();
  #names: { text: string; parsed: SyncNames } = { text: '', parsed: parseSyncNames('') };
  /** synchronous_standby_names as the processes that release commits know it. */
  #obeyed = '';
  #diskHung = false;
  #unflushed: Pending[] = [];
  #onDiskBack: Array<() => void> = [];
  #nextPid = 100;

  constructor(name: string, parts: ServerParts, find: (host: string) => SimServer | null) {
    this.name = name;
    this.parts = parts;
    this.replication = new Replication(this, find);
  }

  get running(): boolean {
    return this.process?.phase === 'running';
  }

  /** A new connection is let in and answered. */
  get accepts(): boolean {
    const { process } = this;
    return (
      process !== null &&
      process.phase === 'running' &&
      !process.hung &&
      !process.postmasterHung &&
      !process.doomed &&
      !this.parts.gate().frozen
    );
  }

  /** Somebody who is connected can commit. */
  get commits(): boolean {
    const { process } = this;
    return (
      process !== null && process.phase === 'running' && !process.hung && !process.doomed && !this.inRecovery && !this.parts.gate().frozen
    );
  }

  /** A client that connects now can commit. */
  get writable(): boolean {
    return !this.inRecovery && this.dir === 'valid' && this.accepts;
  }

  get full(): 'no' | 'wal' | 'data' {
    return this.#full;
  }

  set full(value) {
    this.#full = value;
    this.parts.sim.disturbed();
  }

  /** Some of it does not move, so that it cannot be stopped in good order. */
  get hangs(): boolean {
    return this.#diskHung || this.process?.hung === true || this.process?.postmasterHung === true;
  }

  get diskHung(): boolean {
    return this.#diskHung;
  }

  /** A standby that is told to stream, and could. */
  get seeksSource(): boolean {
    const { process } = this;
    if (process === null || process.phase !== 'running' || !this.inRecovery || this.live.source === null) return false;
    return !(process.promoting || process.ending || process.replaying || process.hung || process.doomed) && this.full !== 'wal';
  }

  /** Runs later on this machine, provided the same postmaster is still there. */
  later(ms: number, run: () => void): void {
    const { sim, gate } = this.parts;
    const { process } = this;
    const machine = gate();
    sim.after(ms, () => machine.deliver('message', () => this.process === process && run()));
  }

  draw(range: Span): number {
    return this.parts.rng.between(range[0], range[1]);
  }

  /** A commit over a connection that exists; false: it is refused. `written` tells its position, `end` the answer; either may never come. */
  commit(id: number, options: CommitOptions, written: (lsn: Lsn) => void, end: (how: CommitEnd) => void): boolean {
    if (!this.commits || this.full === 'data') return false;
    if (this.full === 'wal') {
      this.panic();
      return false;
    }
    const pending: Pending = { id, options, end, written };
    if (this.#diskHung) this.#unflushed.push(pending);
    else this.#flush(pending);
    return true;
  }

  #flush({ id, options, end, written }: Pending): void {
    const lsn = plus(this.position.lsn, COMMIT_BYTES);
    this.position.branch.records.push({ lsn, id });
    written(lsn);
    this.#advance(lsn);
    if (options.local) {
      end('local');
      return;
    }
    const cancel = this.#waiting.add(lsn, end);
    if (options.cancelAfterMs !== undefined) this.later(options.cancelAfterMs, cancel);
    this.releaseWaiting();
  }

  releaseWaiting(): void {
    if (this.#waiting.size === 0 || !this.commits) return;
    const names = this.syncNames();
    const senders = this.replication.senders();
    this.#waiting.release((lsn) => confirms(names, senders, lsn));
  }

  /** synchronous_standby_names as obeyed now by the processes that release commits. */
  get obeyed(): string {
    return this.#obeyed;
  }

  syncNames(): SyncNames {
    if (this.#names.text !== this.#obeyed) this.#names = { text: this.#obeyed, parsed: parseSyncNames(this.#obeyed) };
    return this.#names.parsed;
  }

  /** Files written are taken up: shown at once, obeyed a moment later. */
  reload(): void {
    this.live = { ...this.file };
    const obey = () => {
      if (this.#obeyed === this.live.syncNames) return;
      this.#obeyed = this.live.syncNames;
      this.parts.trace(`${this.name} PostgreSQL waits for '${this.#obeyed}'`);
      this.releaseWaiting();
    };
    if (this.live.syncNames !== this.#obeyed) this.later(this.draw(this.durations.takeUpMs), obey);
    this.replication.configured();
    this.changed();
  }

  /** fsync does not return any more. Nothing that needs it ends, and no process that waits for it can be killed. */
  hangDisk(): void {
    this.#diskHung = true;
    this.parts.sim.disturbed();
  }

  freeDisk(): void {
    this.#diskHung = false;
    if (this.process?.doomed) this.#gone('was killed once its disk was back');
    for (const run of this.#onDiskBack.splice(0)) run();
    for (const pending of this.#unflushed.splice(0)) if (this.commits) this.#flush(pending);
    this.parts.sim.disturbed();
  }

  #whenDiskWorks(run: () => void): void {
    if (!this.#diskHung) {
      run();
      return;
    }
    const { process } = this;
    this.#onDiskBack.push(() => this.process === process && run());
  }

  panic(): void {
    this.die('panicked: no space left on device');
  }

  /** False when it cannot be started at all. A role of primary opens only a directory that was a primary's. */
  start(role: ServerRole, evenIncomplete = false): boolean {
    if (this.process !== null || (this.dir !== 'valid' && !evenIncomplete)) return false;
    const wasPrimary = !/recovery$/.test(this.controlState.replace('in crash recovery', 'crash'));
    this.signal = role.kind === 'standby' ? true : wasPrimary ? false : this.signal;
    const { sim, wallMs } = this.parts;
    const process = newProcess(sim, this.#nextPid, wallMs());
    this.process = process;
    this.#nextPid += 1;
    this.inRecovery = this.signal;
    const clean = this.controlState.startsWith('shut down');
    const fails = this.failStarts > 0 || this.full === 'wal';
    if (this.failStarts > 0) this.failStarts -= 1;
    const startMs = this.draw(this.durations.startMs) + (clean ? 0 : this.draw(this.durations.crashRecoveryMs));
    this.later(startMs, () => this.#whenDiskWorks(() => this.#opened(process, fails)));
    this.changed();
    return true;
  }

  #opened(process: ServerProcess, fails: boolean): void {
    if (process.ending) return;
    if (fails) {
      this.#gone('failed to start');
      return;
    }
    process.phase = 'running';
    const { lsn } = this.position;
    // A standby's directory opens for readers as soon as it is consistent, and goes on replaying what else is on its disk. A crashed primary's does not.
    this.replayLsn = this.inRecovery && this.minRecovery !== null && this.minRecovery.lsn < lsn ? this.minRecovery.lsn : lsn;
    process.replaying = this.replayLsn < lsn;
    this.controlState = this.inRecovery ? 'in archive recovery' : 'in production';
    if (!this.inRecovery) {
      this.minRecovery = null;
      this.parts.tell(this, 'opened');
    }
    this.parts.trace(
      `${this.name} PostgreSQL runs as ${this.inRecovery ? 'standby' : 'primary'} on timeline ${this.position.branch.timeline}`,
    );
    this.#obeyed = this.file.syncNames;
    if (process.replaying && !this.replayPaused) this.later(this.draw(this.durations.replayMs), () => this.#replayed());
    this.reload();
  }

  #replayed(): void {
    if (this.process === null) return;
    this.process.replaying = false;
    this.replayLsn = this.position.lsn;
    this.replication.retry();
    this.changed();
  }

  resumeReplay(): void {
    this.replayPaused = false;
    this.#replayed();
  }

  /** SIGINT: sessions end at once, the shutdown checkpoint goes to the standbys that are connected, then the processes end. */
  stopFast(): void {
    const { process } = this;
    if (process === null || process.hung || process.postmasterHung || process.ending) return;
    process.ending = true;
    const opened = process.phase === 'running';
    this.later(this.parts.rng.between(0.5, 4), () => {
      process.phase = 'stopping';
      this.#waiting.clear();
      this.#unflushed = [];
      this.changed();
      this.later(this.draw(this.durations.fastStopMs), () =>
        this.#whenDiskWorks(() => (opened ? this.#writeShutdown() : this.#gone('stopped while starting'))),
      );
    });
  }

  /** SIGQUIT or SIGKILL to all of them; takes a moment. */
  stopImmediate(withinMs: number): void {
    const { process } = this;
    if (process === null) return;
    process.ending = true;
    this.later(this.parts.rng.between(0.5, withinMs), () => {
      if (!this.#diskHung) {
        this.#gone('was killed');
        return;
      }
      process.doomed = true;
      this.#waiting.clear();
      this.changed();
    });
  }

  /** At once, as when the machine loses power. */
  die(why: string): void {
    if (this.process !== null) this.#gone(why);
  }

  /** Nothing happens when it is not a standby. The walreceiver ends first and all WAL at hand is replayed, so that the position is final. */
  promote(): void {
    const { process } = this;
    if (process === null || !this.running || !this.inRecovery || process.promoting || process.ending) return;
    if (process.hung || process.postmasterHung) return;
    if (this.failPromotions > 0) {
      this.failPromotions -= 1;
      return;
    }
    process.promoting = true;
    this.parts.tell(this, 'promoting');
    this.replication.stopReceiving();
    const takesMs = this.draw(this.durations.promoteMs) + (process.replaying ? this.draw(this.durations.replayMs) : 0);
    this.later(takesMs * SWITCH_AT, () => this.#whenDiskWorks(() => !process.ending && this.#switchTimeline()));
    this.later(takesMs, () => this.#whenDiskWorks(() => !process.ending && this.#openForWrites(process)));
  }

  #switchTimeline(): void {
    const { branch, lsn } = this.position;
    this.parts.trace(`${this.name} PostgreSQL ends recovery on timeline ${branch.timeline} at ${lsn}`);
    // The number is one more than the highest known, the parent the timeline that was replayed last.
    const next = new Branch(branch.timeline + 1, branchAt(this.position, lsn), lsn, 'no recovery target specified');
    this.position = { branch: next, lsn: plus(lsn, SWITCH_BYTES) };
    this.minRecovery = this.position;
    this.signal = false;
  }

  #openForWrites(process: ServerProcess): void {
    if (this.full === 'wal') {
      this.panic();
      return;
    }
    process.promoting = false;
    process.replaying = false;
    this.inRecovery = false;
    this.replayPaused = false;
    this.controlState = 'in production';
    this.minRecovery = null;
    // Sessions and walsenders begin only now, with what was taken up before.
    this.#obeyed = this.live.syncNames;
    this.parts.trace(`${this.name} PostgreSQL promoted to timeline ${this.position.branch.timeline} at ${this.position.branch.forkLsn}`);
    this.parts.tell(this, 'opened');
    this.#advance(this.position.lsn);
    this.changed();
  }

  checkpointed(): void {
    if (this.inRecovery) return;
    this.checkpoint = this.position;
    this.#advance(plus(this.position.lsn, CHECKPOINT_BYTES));
    this.#recycle();
  }

  /** WAL that no slot holds and that is old enough goes. */
  #recycle(): void {
    let keep = this.checkpoint.lsn > BigInt(this.walKeepBytes) ? plus(this.checkpoint.lsn, -this.walKeepBytes) : ZERO_LSN;
    for (const lsn of this.slots.values()) if (lsn < keep) keep = lsn;
    if (keep > this.oldestLsn) this.oldestLsn = keep;
  }

  /** A new cluster's data directory, with a server to be started on it. */
  initialize(systemId: string): void {
    this.systemId = systemId;
    this.position = { branch: new Branch(1, null, ZERO_LSN, ''), lsn: FIRST_LSN };
    this.checkpoint = this.position;
    this.oldestLsn = ZERO_LSN;
    this.minRecovery = null;
    this.controlState = 'shut down';
    this.signal = false;
  }

  /** The directory becomes a copy of the source as it is now. */
  copyFrom(source: SimServer): void {
    this.parts.tell(this, 'removing');
    this.systemId = source.systemId;
    // A standby that is copied from has what it has replayed; what it has only received does not count for the copy's end.
    this.position = source.position;
    this.checkpoint = source.checkpoint;
    this.oldestLsn = source.oldestLsn;
    this.minRecovery = source.position;
    this.controlState = 'in archive recovery';
    this.replayLsn = source.position.lsn;
    this.signal = true;
    this.slots.clear();
  }

  wipe(): void {
    this.parts.tell(this, 'removing');
    this.replaceDisk();
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

  /** A walreceiver has begun to stream. */
  connected(source: SimServer): void {
    if (this.process !== null) this.process.hasReceived = true;
    this.#received({ branch: source.position.branch, lsn: this.position.lsn });
    this.changed();
  }

  /** WAL arrived; `flushed` once it is safe on the disk. Nothing of it is there when the server ends before. */
  write(position: Position, flushed: () => void): void {
    if (this.full === 'wal') {
      this.replication.stopReceiving();
      return;
    }
    this.later(this.draw(this.durations.flushMs), () =>
      this.#whenDiskWorks(() => {
        if (this.inRecovery && !this.process?.promoting) this.#received(position);
        flushed();
      }),
    );
  }

  #received(position: Position): void {
    const moved = position.branch !== this.position.branch;
    this.position = position;
    if (moved || this.parts.rng.chance(0.1)) this.#noteRecovery();
    this.#advance(position.lsn);
  }

  /** How far a standby must replay before it opens again. */
  #noteRecovery(): void {
    this.minRecovery = { branch: branchAt(this.position, this.replayLsn), lsn: this.replayLsn };
  }

  changed(): void {
    this.parts.sim.touched();
    for (const listener of [...this.onChange]) listener();
  }

  #advance(lsn: Lsn): void {
    this.position = { branch: this.position.branch, lsn };
    if (!this.replayPaused && !this.process?.replaying) this.replayLsn = lsn;
    this.replication.advanced();
  }

  /** Everything written, the shutdown record included, reaches whoever is connected before the last process ends. */
  #writeShutdown(): void {
    const { process } = this;
    if (this.inRecovery || process === null) {
      this.#noteRecovery();
      this.#gone('shut down', 'shut down in recovery');
      return;
    }
    this.checkpoint = this.position;
    this.#advance(plus(this.position.lsn, CHECKPOINT_BYTES));
    const wait = () => {
      if (this.replication.allHave(this.position.lsn)) this.#gone('shut down', 'shut down');
      else this.later(20, wait);
    };
    wait();
  }

  #gone(why: string, controlState?: string): void {
    if (controlState !== undefined) this.controlState = controlState;
    this.process = null;
    this.#waiting.clear();
    this.#unflushed = [];
    this.#onDiskBack = [];
    this.parts.trace(`${this.name} PostgreSQL ${why}`);
    this.replication.ended();
    this.changed();
    for (const listener of [...this.onGone]) listener();
  }
}
