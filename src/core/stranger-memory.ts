/** What this agent remembers of servers that stream under a member's name (strangers.ts). */
import type { Lsn } from './units.ts';

export interface Stranger {
  /** The member whose name it bears. */
  readonly name: string;
  readonly pid: number;
  readonly address: string | null;
  readonly user: string;
  /** What gives it away. */
  readonly because: string;
  /** It is this walsender and no other: it may be ended without ending the member's. */
  readonly certain: boolean;
}

/** What a walsender has confirmed, and since when the member's own word has been short of it. */
export interface Claim {
  readonly lsn: Lsn;
  readonly sinceMs: number;
}

export interface StrangerMemory {
  /** By pid of the walsender. */
  readonly claims: Readonly<Record<number, Claim>>;
  /**
   * By name of the member: when a stranger was last seen under it, and how many there were at most.
   */
  readonly suspects: Readonly<Record<string, { readonly seenAtMs: number; readonly count: number }>>;
  /** Those of this round. */
  readonly present: readonly Stranger[];
}

export const noStrangers: StrangerMemory = { claims: {}, suspects: {}, present: [] };
