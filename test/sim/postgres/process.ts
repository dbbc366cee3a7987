/** The processes of one PostgreSQL, as far as they matter. */
import type { Simulation } from '../clock.ts';
import type { Position } from '../wal.ts';

export interface ServerProcess {
  readonly pid: number;
  phase: 'starting' | 'running' | 'stopping';
  /** It was told to end; when it does is settled. */
  ending: boolean;
  promoting: boolean;
  /** Opened by hand, for nobody: clients are not led there, and it is not written to. */
  byHand: boolean;
  /** Nothing of it answers; it does not commit and does not stop in good order. */
  hung: boolean;
  /**
   * The postmaster alone stands still: nobody can connect and nothing is taken up, sessions that
   * exist go on.
   */
  postmasterHung: boolean;
  /** Told to end at once, and stuck in a write that the disk does not finish. */
  doomed: boolean;
  /** Closed for writes, and nobody lacks anything: the archiver alone keeps it from ending. */
  archiving: boolean;
  /**
   * A standby that still replays what is on its own disk: it answers, and its position is not
   * final.
   */
  replaying: boolean;
  /** A walreceiver has run since the start: only then the server tells a received position. */
  hasReceived: boolean;
  /** A primary that lets in replication and its agent only. */
  clientsOut: boolean;
  /**
   * Where the WAL of a primary ended when it was started, and when that was; null: a standby, or
   * promoted.
   */
  recovered: { readonly position: Position; readonly atMs: number } | null;
  readonly startedAtWallMs: number;
}

export function newProcess(sim: Simulation, pid: number, startedAtWallMs: number, clientsOut: boolean): ServerProcess {
  let hung = false;
  let postmasterHung = false;
  return {
    pid,
    phase: 'starting',
    ending: false,
    promoting: false,
    byHand: false,
    doomed: false,
    archiving: false,
    replaying: false,
    hasReceived: false,
    clientsOut,
    recovered: null,
    startedAtWallMs,
    get hung() {
      return hung;
    },
    set hung(value) {
      hung = value;
      sim.disturbed();
    },
    get postmasterHung() {
      return postmasterHung;
    },
    set postmasterHung(value) {
      postmasterHung = value;
      sim.disturbed();
    },
  };
}

export type Span = readonly [number, number];

export interface Durations {
  readonly startMs: Span;
  readonly crashRecoveryMs: Span;
  /** From opening for readers until all WAL on the own disk is replayed. */
  readonly replayMs: Span;
  readonly fastStopMs: Span;
  readonly promoteMs: Span;
  readonly initdbMs: Span;
  readonly cloneMs: Span;
  readonly rewindMs: Span;
  readonly checkpointMs: Span;
  /** From a promotion until the checkpoint that PostgreSQL then makes by itself, at its leisure. */
  readonly firstCheckpointMs: Span;
  /** A standby's flush of a batch. */
  readonly flushMs: Span;
  /** From a reload until a process of the server has taken up what it says. */
  readonly takeUpMs: Span;
}

export const usualDurations: Durations = {
  startMs: [100, 400],
  crashRecoveryMs: [100, 1500],
  replayMs: [0, 800],
  fastStopMs: [15, 120],
  promoteMs: [25, 200],
  initdbMs: [900, 1600],
  cloneMs: [700, 2000],
  rewindMs: [400, 1500],
  checkpointMs: [10, 600],
  firstCheckpointMs: [20_000, 150_000],
  flushMs: [0.1, 1.5],
  takeUpMs: [0, 100],
};

/** What PostgreSQL puts off by itself takes as long on a slow machine. */
export function slower(durations: Durations, factor: number): Durations {
  const stretched = ([low, high]: Span): Span => [low * factor, high * factor];
  return {
    startMs: stretched(durations.startMs),
    crashRecoveryMs: stretched(durations.crashRecoveryMs),
    replayMs: stretched(durations.replayMs),
    fastStopMs: stretched(durations.fastStopMs),
    promoteMs: stretched(durations.promoteMs),
    initdbMs: stretched(durations.initdbMs),
    cloneMs: stretched(durations.cloneMs),
    rewindMs: stretched(durations.rewindMs),
    checkpointMs: stretched(durations.checkpointMs),
    firstCheckpointMs: durations.firstCheckpointMs,
    flushMs: stretched(durations.flushMs),
    takeUpMs: durations.takeUpMs,
  };
}
