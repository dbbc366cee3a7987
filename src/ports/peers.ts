/** The other agents, asked over REST. */
import type { FailsafeMap, Member } from '../core/cluster.ts';
import type { PeerFacts } from '../core/peer-facts.ts';
import type { JsonObject } from '../support/json.ts';

export type PeerStatus = PeerFacts;

/** What a leader without etcd tells the others: docs/wire.md. */
export interface FailsafeQuestion {
  readonly name: string;
  readonly connUrl: string;
  readonly apiUrl: string;
  /** Positions of its slots. */
  readonly slots: JsonObject;
  readonly ttlSeconds: number;
}

export interface FailsafeReply {
  readonly name: string;
  /** Null: it agrees. Otherwise why not, or why it does not answer. */
  readonly refusal: string | null;
}

/** A member, as far as it takes to ask it. */
export type Reached = Pick<Member, 'name' | 'apiUrl'>;

export interface Peers {
  /**
   * These may be asked soon, perhaps when no resolver answers any more: their host names are looked
   * up now. Returns at once.
   */
  prepare(members: readonly Member[]): void;
  /**
   * Asks all in parallel; a peer that has not answered within the time is absent from the result.
   * Never throws.
   */
  ask(members: readonly Reached[], options: { readonly timeoutMs: number }): Promise<ReadonlyMap<string, PeerStatus>>;
  /**
   * Asks all in parallel to let this leader go on in failsafe mode; each twice at most. Never
   * throws.
   */
  agree(members: FailsafeMap, question: FailsafeQuestion, options: { readonly timeoutMs: number }): Promise<readonly FailsafeReply[]>;
  close(): void;
}
