/** The other agents, asked over REST. */
import type { Member, Tags } from '../core/cluster.ts';
import type { Lsn, Timeline } from '../core/units.ts';

/** First-hand word of a peer; a peer that did not answer in time has no entry. */
export interface PeerStatus {
  readonly name: string;
  readonly state: string;
  readonly role: string;
  /** Running as a primary, not in recovery. */
  readonly inRecovery: boolean;
  /** Primary: its position. Standby: max(received, replayed). */
  readonly lsn: Lsn | null;
  readonly replayLsn: Lsn | null;
  readonly timeline: Timeline | null;
  readonly tags: Tags;
  readonly watchdogFailed: boolean;
}

export interface Peers {
  /** Asks all in parallel; whoever has not answered within the time is absent from the result. Never throws. */
  ask(members: readonly Member[], options: { readonly timeoutMs: number }): Promise<ReadonlyMap<string, PeerStatus>>;
  close(): void;
}
