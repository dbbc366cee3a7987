/**
 * Commits that are in the WAL of a primary and whose clients wait for an answer. They are lost with
 * its sessions, never with its WAL.
 */
import type { Lsn } from '../../../src/core/units.ts';

/**
 * acknowledged: the policy in force was satisfied. warned: the wait was cancelled, and success
 * reported with a warning (M2). local, remote_write: the session did not ask for more (M4, M5).
 */
export type CommitEnd = 'acknowledged' | 'warned' | 'local' | 'remote_write';

export interface CommitOptions {
  /** synchronous_commit = local. */
  readonly local?: boolean;
  /** synchronous_commit = remote_write. */
  readonly remoteWrite?: boolean;
  /** The wait is cancelled after so long. */
  readonly cancelAfterMs?: number;
}

interface Waiting {
  readonly lsn: Lsn;
  readonly end: (how: CommitEnd) => void;
  over: boolean;
}

export class WaitingCommits {
  readonly #success: CommitEnd;
  #queue: Waiting[] = [];

  constructor(success: CommitEnd) {
    this.#success = success;
  }

  get size(): number {
    return this.#queue.length;
  }

  /** Returns what cancels the wait. */
  add(lsn: Lsn, end: (how: CommitEnd) => void): () => void {
    const waiting: Waiting = { lsn, end, over: false };
    this.#queue.push(waiting);
    return () => {
      if (waiting.over) return;
      waiting.over = true;
      this.#queue = this.#queue.filter((other) => other !== waiting);
      end('warned');
    };
  }

  /** All that the test lets go, oldest first; positions grow, so the first refusal ends it. */
  release(confirmed: (lsn: Lsn) => boolean): void {
    while (this.#queue.length > 0) {
      const first = this.#queue[0]!;
      if (!confirmed(first.lsn)) return;
      this.#queue.shift();
      first.over = true;
      first.end(this.#success);
    }
  }

  /** The sessions end: nobody is told anything. */
  clear(): void {
    for (const waiting of this.#queue) waiting.over = true;
    this.#queue = [];
  }
}
