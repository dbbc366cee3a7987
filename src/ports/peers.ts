/** The other agents, asked over REST. */
import type { Member } from '../core/cluster.ts';
import type { PeerFacts } from '../core/peer-facts.ts';

export type PeerStatus = PeerFacts;

export interface Peers {
  /**
   * Asks all in parallel; a peer that has not answered within the time is absent from the result.
   * Never throws.
   */
  ask(members: readonly Member[], options: { readonly timeoutMs: number }): Promise<ReadonlyMap<string, PeerStatus>>;
  close(): void;
}
