import type { Tags } from './cluster.ts';
import type { Lsn, Timeline } from './units.ts';

/**
 * Facts that a member publishes about itself, beside its positions, so that others can judge it. A
 * new fact of this kind needs four places. They are its field here, its value in agent/own-word.ts,
 * its line in dialect/own-word.ts, and the row of a table that uses it.
 */
export interface OwnWord {
  readonly watchdogFailed: boolean;
  /** Why it cannot be promoted, or leaves that to others for now. */
  readonly promotionTrouble?: string;
  /**
   * true: a start or a promotion of it failed, or it gave the leader key up, a moment ago. Until
   * that time is over it does not take the key, so nobody hands over to it (race.gave-up-lead).
   */
  readonly keepsOut?: boolean;
  /** Why it gave up the lead, while nobody has led since. */
  readonly steppedDown?: string;
  /** true: it still replays what is on its own disk, so it has more than its position tells. */
  readonly replaying?: boolean;
  /**
   * true: a base backup has replaced its data, which may lack what it has confirmed
   * (PostgresFacts.restored).
   */
  readonly restored?: boolean;
  /**
   * true: it was opened for writes by hand, and has WAL of its own. So its position proves nothing
   * (PostgresFacts.strayed, Memory.openedByHand).
   */
  readonly strayed?: boolean;
  /**
   * true: it is told to stream from another member, or has not seen yet that nobody leads. It may
   * stream at any moment, even if it does not now, and then confirms commits beyond its position.
   */
  readonly attached?: boolean;
  /**
   * What tells its timeline from another of the same number (PostgresFacts.timelineFingerprint).
   */
  readonly timelineFingerprint?: string;
  /**
   * The leader that it has vouched for, because that one cannot reach etcd, and that time is not
   * over. So nobody may take the lead from it, not even by an operator's word.
   */
  readonly vouchesFor?: string;
  /**
   * The leader that it lets go on in failsafe mode (core/failsafe.ts): another that it has agreed
   * with, or itself while it leads by that.
   */
  readonly failsafe?: string;
  /** The term of the leader that it misses, by its own evidence. */
  readonly missesTerm?: string;
  /** The term of the leader whose machine answered it, twice, that nobody listens at both ports. */
  readonly refusedTerm?: string;
  /**
   * The fence that it has put up (core/quorum/fence-mark.ts), while it streams from nobody: it
   * takes no more WAL from the leader of that term.
   */
  readonly fence?: string;
}

/**
 * What a peer's agent says first-hand about its PostgreSQL. A peer that did not answer in time has
 * none.
 */
export interface PeerFacts extends OwnWord {
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
  readonly tags: Tags;
  /**
   * Why its PostgreSQL does not let its agent in. Over connections from before the agent still does
   * what it must.
   */
  readonly lockedOut?: string;
  /** Of the cluster that its data belong to; null: it does not tell. */
  readonly systemIdentifier?: string | null;
  /**
   * true: WAL still streams in. So the position is outdated already, and the member confirms
   * commits to whatever sends them.
   */
  readonly receiving?: boolean;
}
