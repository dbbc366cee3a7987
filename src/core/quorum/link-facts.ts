/**
 * What this agent has learned over its links to the others, first-hand: beats, knocks, answers. All
 * times are Clock.bootMs.
 */
import type { QuorumFence } from './in-force.ts';

/** What a try to connect came to. */
export type Knock =
  /** The kernel lives, and no process listens there. */
  | 'refused'
  /** Somebody took the connection; each knock says who that proves to be there. */
  | 'answered'
  /** No answer in time: the node is dead, frozen or cut off, or the process hangs. */
  | 'silent';

/** When nothing came from a member for so many suspect_after, the network may have been cut. */
const CUT = 2;

/** Nothing came from a member: `fromMs` is its last sign of life before, `untilMs` the next. */
export interface Silence {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** The last long one, as of a sign of life that comes now. */
export function silenceAsOf(
  nowMs: number,
  before: { readonly atMs: number; readonly silence?: Silence | undefined } | undefined,
  suspectAfterMs: number,
): Silence | undefined {
  if (before === undefined || nowMs - before.atMs < CUT * suspectAfterMs) return before?.silence;
  return { fromMs: before.atMs, untilMs: nowMs };
}

/** Beats of one member. */
export interface Heard {
  readonly leader: string;
  readonly atMs: number;
  /** The last long one before. Absent: none. */
  readonly silence?: Silence | undefined;
  /** The term in which it says that it cannot serve, in its last beat. Absent: it does not. */
  readonly resignedTerm?: string | undefined;
  /** Its connection has ended since: the process is gone, or says so. */
  readonly lost: boolean;
}

/** Tries to reach the leader at its ports, since its last beat. */
export interface Knocks {
  readonly agent: Knock;
  readonly postgres: Knock;
  /** Both were refused, twice in a row. */
  readonly refusedTwice: boolean;
}

/** What a voter said in answer to this leader's last beats. */
export interface VoterAnswer {
  readonly atMs: number;
  /** The fence that it has put up: `core/quorum/fence-mark.ts`; null: none. */
  readonly fence: string | null;
  /** The leader key as it read it last; null: it does not know. */
  readonly leader: { readonly name: string; readonly term: string } | null;
}

/** This member takes no lead until then: that leader may go on without its key. */
export interface GivenWord {
  readonly leader: string;
  readonly untilMs: number;
}

/** The leader that it was given to, while its time is not over; null: there is none. */
export const keptLeader = (word: GivenWord | null, nowMs: number): string | null =>
  word !== null && nowMs < word.untilMs ? word.leader : null;

export interface LinkFacts {
  /**
   * Since when this process could have heard a beat. What one before it has vouched for is not
   * known.
   */
  readonly sinceMs: number;
  /** Since when it has listened to the member that leads now. */
  readonly watchingSinceMs: number;
  /** The last beat of the member that holds the leader key; null: none came. */
  readonly heard: Heard | null;
  /** Null: there was no reason to knock since its last beat, or no answer yet. */
  readonly knocks: Knocks | null;
  /** Of the voters, by name, to this node as leader. */
  readonly answers: ReadonlyMap<string, VoterAnswer>;
  /** The last long silence of each member that has had one and has answered this leader since. */
  readonly silences: ReadonlyMap<string, Silence>;
  /** When etcd was read last; -Infinity: it was not. */
  readonly readAtMs: number;
  /** When this leader's beats went on after a standstill; -Infinity: there was none. */
  readonly resumedAtMs: number;
  /** As this node led by it when etcd was read last; null: it did not, or the lease decided. */
  readonly lastFence: QuorumFence | null;
  /** What this voter has vouched for; null: nothing so far. */
  readonly vouched: GivenWord | null;
  /** What this member has agreed to in failsafe mode; null: nothing so far. */
  readonly agreed: GivenWord | null;
}

export const noLinks = (sinceMs: number): LinkFacts => ({
  sinceMs,
  watchingSinceMs: sinceMs,
  heard: null,
  knocks: null,
  answers: new Map(),
  silences: new Map(),
  readAtMs: Number.NEGATIVE_INFINITY,
  resumedAtMs: Number.NEGATIVE_INFINITY,
  lastFence: null,
  vouched: null,
  agreed: null,
});
