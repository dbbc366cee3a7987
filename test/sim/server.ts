/**
 * One PostgreSQL: what is on its disk and what its processes do. It runs on without its agent, and its disk outlives its processes.
 * WAL is flushed the moment it is written; replay follows reception at once unless it is paused.
 */
import type { ServerRole } from '../../src/core/effects.ts';
import type { DataDirState } from '../../src/core/postgres-facts.ts';
import { parseSyncNames, type SyncNames } from '../../src/core/sync-names.ts';
import { type Lsn, ZERO_LSN } from '../../src/core/units.ts';
import type { Gate, Simulation } from './clock.ts';
import type { Network } from './network.ts';
import { confirms, Replication } from './replication.ts';
import type { Rng } from './rng.ts';
import { Branch, FIRST_LSN, type Position, plus } from './wal.ts';

export interface ServerProcess {
  readonly pid: number;
  phase: 'starting' | 'running' | 'stopping';
  /** It was told to end; when it does is settled. */
  ending: boolean;
  promoting: boolean;
  /** Nothing of it answers; it neither commits nor stops in good order. */
  hung: boolean;
  readonly startedAtWallMs: number;
}

export interface Durations {
  readonly startMs: readonly [number, number];
  readonly crashRecoveryMs: readonly [number, number];
  readonly fastStopMs: readonly [number, number];
  readonly promoteMs: readonly [number, number];
  readonly initdbMs: readonly [number, number];
  readonly cloneMs: readonly [number, number];
  readonly rewindMs: readonly [number, number];
  readonly checkpointMs: readonly [number, number];
}

export const usualDurations: Durations = {
  startMs: [100, 400],
  crashRecoveryMs: [100, 1500],
  fastStopMs: [15, 120],
  promoteMs: [25, 200],
  initdbMs: [900, 1600],
  cloneMs: [700, 2000],
  rewindMs: [400, 1500],
  checkpointMs: [10, 600],
};

interface Waiting {
  readonly lsn: Lsn;
  readonly acknowledge: () => void;
}

const COMMIT_BYTES = 152;
const CHECKPOINT_BYTES = 120;

export interface ServerParts {
  readonly sim: Simulation;
  readonly net: Network;
  readonly rng: Rng;
  /** The machine: what happens in the server waits while it is frozen and never happens once it is off. */
  readonly gate: () => Gate;
  readonly wallMs: () => number;
  readonly trace: (line: string) => void;
}

export class SimServer {
  readonly name: string;
  readonly parts: ServerParts;
  readonly replication: Replication;
  durations: Durations = usualDurations;
  dir: DataDirState = 'missing';
  work: 'bootstrap' | 'clone' | 'rewind' | null = null;
  systemId: string | null = null;
  position: Position = { branch: new Branch(1, null, ZERO_LSN, ''), lsn: ZERO_LSN };
  replayLsn: Lsn = ZERO_LSN;
  replayPaused = false;
  inRecovery = false;
  signal = false;
  /** pg_controldata's word while stopped, and the latest checkpoint. */
  controlState = 'shut down';
  checkpointLsn: Lsn = ZERO_LSN;
  process: ServerProcess | null = null;
  /** In the files. */
  file: { source: { host: string; port: number } | null; syncNames: string } = { source: null, syncNames: '' };
  /** In force. */
  live: { source: { host: string; port: number } | null; syncNames: string } = { source: null, syncNames: '' };
  readonly slots = new Map<string, Lsn>();
  /** Faults: the next so many starts or promotions fail. */
  failStarts = 0;
  failPromotions = 0;
  readonly onChange = new Set<() => void>();
  readonly onGone = new Set<() => void>();
  #waiting: Waiting[] = [];
  #names: { text: string; parsed: SyncNames } = { text: '', parsed: parseSyncNames('') };
  #nextPid = 100;

  constructor(name: string, parts: ServerParts, find: (host: string) => SimServer | null) {
    this.name = name;
    this.parts = parts;
    this.replication = new Replication(this, find);
  }

  get running(): boolean {
    return this.process?.phase === 'running';
  }

  /** A client that connects now can commit. */
  get writable(): boolean {
    return this.running && this.process?.hung === false && !this.inRecovery && this.dir === 'valid' && !this.parts.gate().frozen;
  }

  /** Runs later on this machine, provided the same postmaster is still there. */
  later(ms: number, run: () => void): void {
    const { sim, gate } = this.parts;
    const { process } = this;
    const machine = gate();
    sim.after(ms, () => machine.deliver('message', () => this.process === process && run()));
  }

  draw(range: readonly [number, number]): number {
    return this.parts.rng.between(range[0], range[1]);
  }

  /** Refused (null), or the commit's position; `acknowledge` is called once the policy in force is satisfied, never if it does not come to that. */
  commit(id: number, acknowledge: () => void): Lsn | null {
    if (!this.writable) return null;
    const lsn = plus(this.position.lsn, COMMIT_BYTES);
    this.position.branch.records.push({ lsn, id });
    this.#advance(lsn);
    this.#waiting.push({ lsn, acknowledge });
    this.releaseWaiting();
    return lsn;
  }

  releaseWaiting(): void {
    if (this.#waiting.length === 0 || !this.writable) return;
    const still: Waiting[] = [];
    for (const waiting of this.#waiting) {
      if (confirms(this.syncNames(), this.replication.senders(), waiting.lsn)) waiting.acknowledge();
      else still.push(waiting);
    }
    this.#waiting = still;
  }

  syncNames(): SyncNames {
    if (this.#names.text !== this.live.syncNames) this.#names = { text: this.live.syncNames, parsed: parseSyncNames(this.live.syncNames) };
    return this.#names.parsed;
  }

  /** Files written are taken up. */
  reload(): void {
    this.live = { ...this.file };
    this.releaseWaiting();
    this.replication.configured();
    this.changed();
  }

  /** False when it cannot be started at all. A role of primary opens only a directory that was a primary's. */
  start(role: ServerRole, evenIncomplete = false): boolean {
    if (this.process !== null || (this.dir !== 'valid' && !evenIncomplete)) return false;
    const wasPrimary = !/recovery$/.test(this.controlState.replace('in crash recovery', 'crash'));
    this.signal = role.kind === 'standby' ? true : wasPrimary ? false : this.signal;
    this.file = { ...this.file, source: role.kind === 'standby' ? role.source : null };
    const clean = this.controlState.startsWith('shut down');
    this.process = this.#postmaster();
    this.#nextPid += 1;
    this.inRecovery = this.signal;
    const fails = this.failStarts > 0;
    if (fails) this.failStarts -= 1;
    this.later(this.draw(this.durations.startMs) + (clean ? 0 : this.draw(this.durations.crashRecoveryMs)), () => {
      if (this.process?.ending) return;
      if (fails) return this.#gone('failed to start');
      if (this.process !== null) this.process.phase = 'running';
      this.replayLsn = this.position.lsn;
      this.controlState = this.inRecovery ? 'in archive recovery' : 'in production';
      this.parts.trace(
        `${this.name} PostgreSQL runs as ${this.inRecovery ? 'standby' : 'primary'} on timeline ${this.position.branch.timeline}`,
      );
      this.reload();
    });
    this.changed();
    return true;
  }

  #postmaster(): ServerProcess {
    const { sim, wallMs } = this.parts;
    let hung = false;
    return {
      pid: this.#nextPid,
      phase: 'starting',
      ending: false,
      promoting: false,
      startedAtWallMs: wallMs(),
      get hung() {
        return hung;
      },
      set hung(value) {
        hung = value;
        sim.disturbed();
      },
    };
  }

  /** SIGINT: sessions end at once, the shutdown checkpoint goes to the standbys that are connected, then the processes end. */
  stopFast(): void {
    const { process } = this;
    if (process === null || process.hung || process.ending) return;
    process.ending = true;
    const opened = process.phase === 'running';
    this.later(this.parts.rng.between(0.5, 4), () => {
      process.phase = 'stopping';
      this.#waiting = [];
      this.changed();
      this.later(this.draw(this.durations.fastStopMs), () => (opened ? this.#writeShutdown() : this.#gone('stopped while starting')));
    });
  }

  /** SIGQUIT or SIGKILL to all of them; takes a moment. */
  stopImmediate(withinMs: number): void {
    const { process } = this;
    if (process === null) return;
    process.ending = true;
    this.later(this.parts.rng.between(0.5, withinMs), () => this.#gone('was killed'));
  }

  /** At once, as when the machine loses power. */
  die(why: string): void {
    if (this.process !== null) this.#gone(why);
  }

  /** Nothing happens when it is not a standby. The walreceiver ends first, so that the position is final. */
  promote(): void {
    const { process } = this;
    if (process === null || !this.running || !this.inRecovery || process.promoting || process.ending) return;
    if (this.failPromotions > 0) {
      this.failPromotions -= 1;
      return;
    }
    process.promoting = true;
    this.replication.stopReceiving();
    this.later(this.draw(this.durations.promoteMs), () => {
      if (process.ending) return;
      const { branch, lsn } = this.position;
      const next = new Branch(branch.timeline + 1, branch, lsn, 'no recovery target specified');
      process.promoting = false;
      this.inRecovery = false;
      this.signal = false;
      this.replayPaused = false;
      this.controlState = 'in production';
      this.position = { branch: next, lsn };
      this.#advance(plus(lsn, CHECKPOINT_BYTES));
      this.parts.trace(`${this.name} PostgreSQL promoted to timeline ${next.timeline} at ${lsn}`);
      this.changed();
    });
  }

  checkpointed(): void {
    if (this.inRecovery) return;
    this.checkpointLsn = this.position.lsn;
    this.#advance(plus(this.position.lsn, CHECKPOINT_BYTES));
  }

  /** A new cluster's data directory, with a server to be started on it. */
  initialize(systemId: string): void {
    this.systemId = systemId;
    this.position = { branch: new Branch(1, null, ZERO_LSN, ''), lsn: FIRST_LSN };
    this.checkpointLsn = FIRST_LSN;
    this.controlState = 'shut down';
    this.signal = false;
  }

  /** The directory becomes a copy of the source as it is now. */
  copyFrom(source: SimServer): void {
    this.systemId = source.systemId;
    this.position = source.position;
    this.checkpointLsn = source.checkpointLsn;
    this.controlState = 'in archive recovery';
    this.replayLsn = source.position.lsn;
    this.signal = true;
    this.slots.clear();
  }

  wipe(): void {
    this.dir = 'missing';
    this.work = null;
    this.systemId = null;
    this.signal = false;
    this.slots.clear();
  }

  /** WAL arrived from the source, or was written here. */
  received(position: Position): void {
    this.position = position;
    this.#advance(position.lsn);
  }

  changed(): void {
    this.parts.sim.touched();
    for (const listener of [...this.onChange]) listener();
  }

  #advance(lsn: Lsn): void {
    this.position = { branch: this.position.branch, lsn };
    if (!this.replayPaused) this.replayLsn = lsn;
    this.replication.advanced();
  }

  /** Everything written, the shutdown record included, reaches whoever is connected before the last process ends. */
  #writeShutdown(): void {
    const { process } = this;
    if (this.inRecovery || process === null) {
      this.#gone('shut down', 'shut down in recovery');
      return;
    }
    this.checkpointLsn = this.position.lsn;
    this.#advance(plus(this.position.lsn, CHECKPOINT_BYTES));
    const wait = () => {
      if (this.replication.allHave(this.position.lsn)) this.#gone('shut down', 'shut down');
      else this.later(5, wait);
    };
    wait();
  }

  #gone(why: string, controlState?: string): void {
    if (controlState !== undefined) this.controlState = controlState;
    this.process = null;
    this.#waiting = [];
    this.parts.trace(`${this.name} PostgreSQL ${why}`);
    this.replication.ended();
    this.changed();
    for (const listener of [...this.onGone]) listener();
  }
}
