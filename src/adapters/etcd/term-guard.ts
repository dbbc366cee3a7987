/**
 * Ignores answers of members that were cut off from the cluster.
 *
 * A member that has lost the others may go on answering what needs no consensus. An old leader, for
 * one, renews leases for up to an election timeout. Raft terms only grow, so an answer of a lower
 * term than one already seen is from before a change of leader and is dropped. Only answers that
 * needed consensus raise the mark. A member that is alone raises its term with every failed
 * election, and believing it would exclude the healthy majority.
 *
 * A cluster rebuilt from a backup starts again at low terms and revisions, possibly under the same
 * id. Two things tell it from a stale member. Consensus answers of the lower term go on while none
 * of the higher one comes; then the mark is reset. Or a consensus answer shows a revision below one
 * that was known when the request was sent. No member of the same history could give that.
 */
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import type { Header } from './answers.ts';

const REBUILT_AFTER_MS = 15_000;

export class TermGuard {
  readonly #clock: Clock;
  readonly #log: Log;
  #clusterId: string | null = null;
  #term = 0n;
  #revision = 0n;
  #seenAtMs = 0;
  #generation = 0;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Highest revision that consensus has shown; changes made after this moment have a higher one.
   */
  get revision(): bigint {
    return this.#revision;
  }

  /** Counts the histories seen: revisions of different generations must not be compared. */
  get generation(): number {
    return this.#generation;
  }

  /**
   * True when the answer may be used. `consensus`: the answer needed a majority. `sentRevision`:
   * `revision` when the request was sent.
   */
  admit(header: Header, consensus: boolean, sentRevision: bigint): boolean {
    const term = BigInt(header.raft_term ?? '0');
    const revision = BigInt(header.revision ?? '0');
    if (header.cluster_id !== this.#clusterId) {
      if (!consensus) return this.#clusterId === null;
      if (this.#clusterId !== null) this.#restart(`etcd's cluster id changed from ${this.#clusterId} to ${header.cluster_id}`);
      this.#clusterId = header.cluster_id;
      return this.#raise(term, revision);
    }
    if (term < this.#term) {
      if (!consensus || this.#clock.monotonicMs() - this.#seenAtMs < REBUILT_AFTER_MS) return false;
      this.#restart(`etcd answers at raft term ${term} only, it was ${this.#term}: it seems to have been rebuilt`);
    } else if (consensus && revision < sentRevision) {
      this.#restart(`etcd went back from revision ${sentRevision} to ${revision}: it seems to have been restored`);
    }
    return consensus ? this.#raise(term, revision) : true;
  }

  /**
   * True when a stream with this header comes from a member behind the rest, or of another cluster.
   * Changes nothing.
   */
  isStale(header: Header): boolean {
    if (this.#clusterId === null) return false;
    return header.cluster_id !== this.#clusterId || BigInt(header.raft_term ?? '0') < this.#term;
  }

  #raise(term: bigint, revision: bigint): true {
    if (term > this.#term) this.#term = term;
    if (revision > this.#revision) this.#revision = revision;
    this.#seenAtMs = this.#clock.monotonicMs();
    return true;
  }

  #restart(why: string): void {
    this.#log.warning(`${why}; what was known of its history is dropped`);
    this.#term = 0n;
    this.#revision = 0n;
    this.#generation++;
  }
}
