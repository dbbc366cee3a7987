import type { Tags } from './cluster.ts';
import type { Lsn, Timeline } from './units.ts';

/**
 * First-hand word of a peer's agent about its PostgreSQL. A peer that did not answer in time has
 * none.
 */
export interface PeerFacts {
  readonly name: string;
  readonly state: string;
  readonly role: string;
  readonly inRecovery: boolean;
  /** Primary: its position. Standby: max(received, replayed). */
  readonly lsn: Lsn | null;
  readonly replayLsn: Lsn | null;
  readonly timeline: Timeline | null;
  /**
   * Where the WAL on its disk ends at least, while its PostgreSQL is down. It says nothing of what
   * it has confirmed, and `lsn` is null then.
   */
  readonly onDisk?: { readonly timeline: Timeline; readonly lsn: Lsn };
  /** What tells its timeline from another of that number (PostgresFacts.beginning). */
  readonly beginning?: string;
  readonly tags: Tags;
  readonly watchdogFailed: boolean;
  /** Why it could not be promoted, by its own word. */
  readonly promotionTrouble?: string;
  /** Why it gave up the lead, while nobody has led since. */
  readonly steppedDown?: string;
  /**
   * Why its PostgreSQL does not let its agent in. Over connections from before the agent still does
   * what it must.
   */
  readonly lockedOut?: string;
  /** Of the cluster its data belong to; null: it does not tell. */
  readonly systemIdentifier?: string | null;
  /**
   * true: WAL still streams in, so the position is already outdated, and commits are being
   * confirmed to whoever sends it.
   */
  readonly receiving?: boolean;
  /**
   * true: it is told to stream from somebody, or has not seen yet that nobody leads. Even when it
   * does not receive now, it may at any moment, and then confirms commits that are not in its
   * position.
   */
  readonly attached?: boolean;
  /** true: it still replays what is on its own disk, so it has more than its position tells. */
  readonly replaying?: boolean;
  /**
   * true: its data were replaced by a base backup, and need not have what it has confirmed
   * (PostgresFacts.restored).
   */
  readonly restored?: boolean;
  /**
   * true: it has WAL of its own on its leader's timeline, so its position proves nothing
   * (PostgresFacts.strayed).
   */
  readonly strayed?: boolean;
}
