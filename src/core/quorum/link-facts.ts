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

/** Beats of one member. */
export interface Heard {
  readonly leader: string;
  readonly atMs: number;
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
  /** When etcd was read last; -Infinity: it was not. */
  readonly readAtMs: number;
  /** When this leader's beats went on after a standstill; -Infinity: there was none. */
  readonly resumedAtMs: number;
  /** As this node led by it when etcd was read last; null: it did not, or the lease decided. */
  readonly lastFence: QuorumFence | null;
  /** Until when this voter has vouched for a leader; -Infinity: it has not. */
  readonly vouchedUntilMs: number;
}

export const noLinks = (sinceMs: number): LinkFacts => ({
  sinceMs,
  watchingSinceMs: sinceMs,
  heard: null,
  knocks: null,
  answers: new Map(),
  readAtMs: Number.NEGATIVE_INFINITY,
  resumedAtMs: Number.NEGATIVE_INFINITY,
  lastFence: null,
  vouchedUntilMs: Number.NEGATIVE_INFINITY,
});
