/**
 * The lease and what is known of it for certain.
 *
 * A lease is good from the moment the request that granted or renewed it was SENT, for its ttl:
 * etcd counts from a later moment. A reply that is lost leaves the older moment standing, which is
 * the safe side.
 */
import type { LeaseFacts } from '../core/model.ts';
import { leaseMargins } from '../core/settings.ts';
import type { Clock } from '../ports/clock.ts';
import type { CallOptions, Dcs } from '../ports/dcs.ts';
import { codeOf } from '../support/errors.ts';

/** Even a node that is late asks once more before it gives up. */
const MIN_PATIENCE_MS = 200;
/**
 * Shortly before the lease ends there are more important things to do than to write: what was not
 * written is written by a later round.
 */
export const MIN_WRITE_MS = 20;
/**
 * A call that takes all the time there is ends when the moment to step down is past, not just
 * before.
 */
const PAST_MS = 1;

export class Lease {
  readonly #dcs: Dcs;
  readonly #clock: Clock;
  #leaseId: string | null = null;
  #confirmedSentAtMs: number | null = null;
  #ttlSeconds: number;
  #failures = 0;
  #limitMs: () => number = () => Number.POSITIVE_INFINITY;
  /**
   * Of a round that did not wait for its lease the answer may still come: another round has asked
   * since, and only its own counts.
   */
  #asked = 0;

  constructor(dcs: Dcs, clock: Clock, ttlSeconds: number) {
    this.#dcs = dcs;
    this.#clock = clock;
    this.#ttlSeconds = ttlSeconds;
  }

  facts(): LeaseFacts {
    return { leaseId: this.#leaseId, confirmedSentAtMs: this.#confirmedSentAtMs, ttlSeconds: this.#ttlSeconds };
  }

  /** Counts a failed renewal; true when the one before failed too. */
  failedBefore(): boolean {
    this.#failures += 1;
    return this.#failures > 1;
  }

  /**
   * Renews, or grants a new lease when there is none, it is gone, or the ttl changed. Throws what
   * the Dcs throws.
   */
  async renew(ttlSeconds: number, timeoutMs: number): Promise<void> {
    const startedAtMs = this.#clock.bootMs();
    this.#asked += 1;
    const asked = this.#asked;
    if (this.#leaseId !== null && ttlSeconds === this.#ttlSeconds) {
      const sentAtMs = this.#clock.bootMs();
      const leaseId = this.#leaseId;
      const remaining = await this.#dcs.keepAlive(leaseId, { timeoutMs });
      if (asked !== this.#asked) return;
      if (remaining > 0) {
        if (this.#leaseId === leaseId) this.#confirmedSentAtMs = sentAtMs;
        this.#failures = 0;
        return;
      }
      this.forget();
    }
    const leftMs = Math.max(100, timeoutMs - (this.#clock.bootMs() - startedAtMs));
    const sentAtMs = this.#clock.bootMs();
    const leaseId = await this.#dcs.grantLease(ttlSeconds, { timeoutMs: leftMs }).catch(async (error: unknown) => {
      // Only the ttl has changed: the lease that there is goes on as it is.
      if (this.#leaseId === null || !refuses(error) || !(await this.keep(this.#leaseId, leftMs))) throw error;
      return null;
    });
    if (leaseId === null) return;
    if (asked !== this.#asked) return;
    this.#leaseId = leaseId;
    this.#failures = 0;
    this.#ttlSeconds = ttlSeconds;
    this.#confirmedSentAtMs = sentAtMs;
  }

  /**
   * For an etcd that grants no lease, but renews (no room, a quota): this lease is ours from now
   * on, if etcd renews it once more. It is that of the leader key, which an agent before this one
   * has put there, or our own of another ttl. False: it is gone, or another round has asked since.
   * Throws what the Dcs throws.
   */
  async keep(leaseId: string, timeoutMs: number): Promise<boolean> {
    const asked = this.#asked;
    const askedAtMs = this.#clock.bootMs();
    const grantedSeconds = await this.#dcs.keepAlive(leaseId, { timeoutMs });
    if (asked !== this.#asked || grantedSeconds <= 0) return false;
    this.#leaseId = leaseId;
    this.#ttlSeconds = grantedSeconds;
    this.#confirmedSentAtMs = askedAtMs;
    this.#failures = 0;
    return true;
  }

  /**
   * Something else than the lease makes this node step down as well; Infinity while it does not.
   */
  limitBy(leftMs: () => number): void {
    this.#limitMs = leftMs;
  }

  /**
   * How long a call may take now that usually may take `mostMs`: never past the moment at which
   * this node would have to step down.
   */
  patienceMs(mostMs: number, leastMs = MIN_PATIENCE_MS): number {
    const byLeaseMs =
      this.#confirmedSentAtMs === null
        ? mostMs
        : this.#confirmedSentAtMs + leaseMargins(this.#ttlSeconds).stepDownMs - this.#clock.bootMs() + PAST_MS;
    return Math.max(Math.min(leastMs, mostMs), Math.min(mostMs, byLeaseMs, this.#limitMs()));
  }

  /**
   * Gives the leader key back. False: it was not ours. When it throws, a copy of the request may
   * still be under way and delete the key later: the lease is forgotten, so that the key has to be
   * put again before this node may lead again. That makes the copy void.
   */
  async release(name: string, options: CallOptions): Promise<boolean> {
    try {
      return await this.#dcs.releaseLeader(name, options);
    } catch (error) {
      this.forget();
      throw error;
    }
  }

  /** The moment to step down is past. */
  get ended(): boolean {
    return this.#confirmedSentAtMs !== null && this.#clock.bootMs() >= this.#confirmedSentAtMs + leaseMargins(this.#ttlSeconds).stepDownMs;
  }

  /** Not renewed any more: etcd said that it does not exist, or it must not go on. */
  forget(): void {
    this.#leaseId = null;
    this.#confirmedSentAtMs = null;
  }

  /**
   * Runs a write that carries the lease; a lease that turns out to be gone is forgotten, and the
   * write reported as not done.
   */
  async carry(write: (leaseId: string) => Promise<boolean>): Promise<boolean> {
    if (this.#leaseId === null) return false;
    try {
      return await write(this.#leaseId);
    } catch (error) {
      if (codeOf(error) !== 'DCS_LEASE_GONE') throw error;
      this.forget();
      return false;
    }
  }
}

/** etcd answers, and will not do it however often it is asked. */
export function refuses(error: unknown): boolean {
  return codeOf(error) === 'DCS_REFUSED';
}
