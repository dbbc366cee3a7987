/**
 * One PostgreSQL: what is on its disk and what its processes do. It runs without its agent as well.
 * `position` is the end of the flushed WAL; what is not flushed nobody has seen.
 */
import type { ServerRole } from '../../src/core/effects.ts';
import type { Lsn } from '../../src/core/units.ts';
import { DataDirectory } from './postgres/data-directory.ts';
import { HangingDisk } from './postgres/hanging-disk.ts';
import type { Configured, ServerEvent, ServerParts } from './postgres/parts.ts';
import { type Durations, newProcess, type ServerProcess, type Span, usualDurations } from './postgres/process.ts';
import { Sessions } from './postgres/sessions.ts';
import type { CommitEnd, CommitOptions } from './postgres/waiting.ts';
import { Replication } from './replication.ts';
import { Branch, branchAt, type Position, plus, SWITCH_BYTES } from './wal.ts';

const STILL_MS = 100; // how often something that stands still is looked at again
const NO_SPACE = 'panicked: no space left on device';
const CHECKPOINT_BYTES = 120;
/** At this share of a promotion the new timeline is on disk, with nothing written on it yet. */
const SWITCH_AT = 0.7;

export type { Configured, ServerEvent, ServerParts };

export class SimServer extends DataDirectory {
  readonly name: string;
  readonly parts: ServerParts;
  readonly replication: Replication;
  durations: Durations = usualDurations;
  process: ServerProcess | null = null;
  /** In the files. */
  file: Configured = { source: null, syncNames: '', slot: '' };
  /** In force, as SHOW tells; processes take it up a moment later. */
  live: Configured = this.file;
  /** Faults: the next so many starts or promotions fail. */
  failStarts = 0;
  failPromotions = 0;
  /** A shutdown waits for the archiver until then (true ms). */
  archiverBusyUntilMs = 0;
  /** No room: for WAL (the server panics), or for data only (writes are refused). */
  #full: 'no' | 'wal' | 'data' = 'no';
  readonly onChange = new Set<() => void>();
  readonly onGone = new Set<() => void>();
  readonly sessions = new Sessions(this);
  readonly disk = new HangingDisk();
  #nextPid = 100;

  constructor(name: string, parts: ServerParts, find: (host: string) => SimServer | null) {
    super();
    this.name = name;
    this.parts = parts;
    this.replication = new Replication(this, find);
  }

  get running(): boolean {
    return this.process?.phase === 'running';
  }

  get #works(): boolean {
    const { process } = this;
    return process !== null && process.phase === 'running' && !process.hung && !process.doomed && !this.parts.gate().frozen;
  }

  /** A new connection is let in and answered. */
  get accepts(): boolean {
    return this.#works && this.process?.postmasterHung === false;
  }

  /** Somebody who is connected can commit. */
  get commits(): boolean {
    return !this.inRecovery && this.process?.byHand !== true && this.process?.clientsOut !== true && this.#works;
  }

  /** A client that connects now can commit. */
  get writable(): boolean {
    return this.commits && this.dir === 'valid' && this.accepts;
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
    return this.diskHung || this.process?.hung === true || this.process?.postmasterHung === true;
  }

  get diskHung(): boolean {
    return this.disk.sinceMs !== null;
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

  /** A commit over a connection that exists; false: it is refused. */
  commit(id: number, options: CommitOptions, written: (lsn: Lsn) => void, end: (how: CommitEnd) => void): boolean {
    if (!this.commits || this.full === 'data') return false;
    if (this.full === 'wal') {
      this.die(NO_SPACE);
      return false;
    }
    this.sessions.add({ id, options, written, end });
    return true;
  }

  /** synchronous_standby_names as obeyed now by the processes that release commits. */
  get obeyed(): string {
    return this.sessions.obeyed;
  }

  /** Files written are taken up: shown at once, obeyed a moment later. */
  reload(): void {
    this.live = { ...this.file };
    this.sessions.takeUp();
    this.replication.configured();
    this.changed();
  }

  /** fsync does not return any more. A process that waits for it cannot be killed. */
  hangDisk(): void {
    this.disk.sinceMs ??= this.parts.sim.now;
    this.parts.sim.disturbed();
  }

  /** What waited for it goes on, once the machine does. */
  freeDisk(): void {
    this.disk.sinceMs = null;
    this.parts.gate().deliver('message', () => {
      if (this.diskHung) return;
      if (this.process?.doomed) this.#gone('was killed once its disk was back');
      this.disk.goOn();
      this.sessions.diskIsBack();
    });
    this.parts.sim.disturbed();
  }

  #whenDiskWorks(run: () => void): void {
    const { process } = this;
    this.disk.whenItWorks(() => this.process === process && run());
  }

  /** False: it cannot be started at all. Only a former primary's directory opens as primary. */
  start(role: ServerRole, evenIncomplete = false, clientsOut = false): boolean {
    if (this.process !== null || (this.dir !== 'valid' && !evenIncomplete)) return false;
    const wasPrimary = !/recovery$/.test(this.controlState.replace('in crash recovery', 'crash'));
    this.signal = role.kind === 'standby' ? true : wasPrimary ? false : this.signal;
    if (role.kind === 'standby') this.noteCopy(role.source !== null);
    const { sim, wallMs } = this.parts;
    const process = newProcess(sim, this.#nextPid, wallMs(), clientsOut && role.kind === 'primary');
    this.process = process;
    this.#nextPid += 1;
    this.inRecovery = this.signal;
    const fails = this.failStarts > 0 || this.full === 'wal';
    this.failStarts = Math.max(0, this.failStarts - 1);
    const recoveryMs = this.controlState.startsWith('shut down') ? 0 : this.draw(this.durations.crashRecoveryMs);
    this.later(this.draw(this.durations.startMs) + recoveryMs, () => this.#whenDiskWorks(() => this.#opened(process, fails)));
    this.changed();
    return true;
  }

  #opened(process: ServerProcess, fails: boolean): void {
    if (process.ending) return;
    if (fails) {
      this.#gone('failed to start');
      return;
    }
    const crashed = !this.controlState.startsWith('shut down');
    process.phase = 'running';
    const { lsn } = this.position;
    // A standby opens for readers once consistent, and replays the rest. A crashed primary waits.
    this.replayLsn = this.inRecovery && this.minRecovery !== null && this.minRecovery.lsn < lsn ? this.minRecovery.lsn : lsn;
    process.replaying = this.replayLsn < lsn;
    this.backup = null;
    this.controlState = this.inRecovery ? 'in archive recovery' : 'in production';
    if (!this.inRecovery) {
      this.minRecovery = null;
      process.recovered = { position: this.position, atMs: this.parts.sim.now };
      if (crashed) this.checkpointed();
      if (!process.clientsOut) this.parts.tell(this, 'opened');
    }
    this.parts.trace(
      `${this.name} PostgreSQL runs as ${this.inRecovery ? 'standby' : 'primary'} on timeline ${this.position.branch.timeline}`,
    );
    this.sessions.begin();
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

  /** SIGINT: sessions end, connected standbys get the shutdown checkpoint, processes end. */
  stopFast(): void {
    const { process } = this;
    if (process === null || process.ending) return;
    // The signal waits until its receiver goes on.
    if (process.hung || process.postmasterHung) {
      this.later(STILL_MS, () => this.stopFast());
      return;
    }
    process.ending = true;
    const opened = process.phase === 'running';
    this.later(this.parts.rng.between(0.5, 4), () => {
      process.phase = 'stopping';
      this.sessions.end();
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
      if (!this.diskHung) {
        this.#gone('was killed');
        return;
      }
      process.doomed = true;
      this.sessions.end();
      this.changed();
    });
  }

  /** At once, as when the machine loses power. */
  die(why: string): void {
    if (this.process !== null) this.#gone(why);
  }

  /** The walreceiver ends and all WAL at hand is replayed first: the position is final. */
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
    // One more than the highest known. Its history names that one for the parent, whatever was
    // replayed last.
    const next = new Branch(branch.timeline + 1, branchAt(this.position, lsn), lsn, 'no recovery target specified', null, branch);
    this.position = { branch: next, lsn: plus(lsn, SWITCH_BYTES) };
    this.minRecovery = this.position;
    this.signal = false;
  }

  #openForWrites(process: ServerProcess): void {
    if (this.full === 'wal') {
      this.die(NO_SPACE);
      return;
    }
    process.promoting = false;
    process.replaying = false;
    this.inRecovery = false;
    this.replayPaused = false;
    this.controlState = 'in production';
    this.sessions.open();
    this.parts.trace(`${this.name} PostgreSQL promoted to timeline ${this.position.branch.timeline} at ${this.position.branch.forkLsn}`);
    this.parts.tell(this, 'opened');
    this.later(this.draw(this.durations.firstCheckpointMs), () => this.#whenDiskWorks(() => this.checkpointed()));
    this.advance(this.position.lsn);
    this.changed();
  }

  checkpointed(): void {
    if (this.inRecovery) return;
    this.checkpoint = this.position;
    // Until then pg_controldata tells the timeline that the promotion began.
    this.minRecovery = null;
    this.advance(plus(this.position.lsn, CHECKPOINT_BYTES));
    this.recycle();
  }

  /** The directory becomes a copy of the source as it is now. */
  copyFrom(source: SimServer): void {
    this.parts.tell(this, 'removing');
    this.become(source);
  }

  wipe(): void {
    this.parts.tell(this, 'removing');
    this.replaceDisk();
  }

  /** A walreceiver has begun to stream. */
  connected(source: SimServer): void {
    if (this.process !== null) this.process.hasReceived = true;
    this.#received({ branch: source.position.branch, lsn: this.position.lsn });
    this.changed();
  }

  /** WAL arrived; `flushed` once it is on disk. A server that ends before has none of it. */
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
    if (moved || this.parts.rng.chance(0.1)) this.noteRecovery();
    this.advance(position.lsn);
  }

  changed(): void {
    this.parts.sim.touched();
    for (const listener of [...this.onChange]) listener();
  }

  advance(lsn: Lsn): void {
    this.position = { branch: this.position.branch, lsn };
    if (!this.replayPaused && !this.process?.replaying) this.replayLsn = lsn;
    this.replication.advanced();
  }

  /** Connected standbys get everything, the shutdown record included, before the end. */
  #writeShutdown(): void {
    const { process } = this;
    if (this.inRecovery || process === null) {
      this.noteRecovery();
      this.#gone('shut down', 'shut down in recovery');
      return;
    }
    this.checkpoint = this.position;
    this.minRecovery = null;
    this.advance(plus(this.position.lsn, CHECKPOINT_BYTES));
    this.controlState = 'shut down';
    const wait = () => {
      if (!this.replication.drained(this.position.lsn)) return this.later(20, wait);
      process.archiving = this.parts.sim.now < this.archiverBusyUntilMs;
      if (process.archiving) this.later(20, wait);
      else this.#gone('shut down');
    };
    wait();
  }

  #gone(why: string, controlState?: string): void {
    if (controlState !== undefined) this.controlState = controlState;
    this.process = null;
    this.sessions.end();
    this.disk.forget();
    this.parts.trace(`${this.name} PostgreSQL ${why}`);
    this.replication.ended();
    this.changed();
    for (const listener of [...this.onGone]) listener();
  }
}
