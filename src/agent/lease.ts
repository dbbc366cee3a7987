/** Asks etcd for this agent's lease, and notes what it confirms: what that allows, core/ knows. */
import type { Clock } from '../ports/clock.ts';
import type { CallOptions, Dcs } from '../ports/dcs.ts';
import { codeOf } from '../support/errors.ts';
import type { AuthorityCell } from './authority-cell.ts';

/**
 * Shortly before the lease ends there are more important things to do than to write: what was not
 * written is written by a later round.
 */
export const MIN_WRITE_MS = 20;
/** To renew the lease of the agent before. An etcd that answers does it in far less. */
export const FORMER_LEASE_TIMEOUT_MS = 1000;
/** A grant that follows a renewal in the same round has at least this long. */
const MIN_GRANT_MS = 100;

export class Lease {
  readonly #dcs: Pick<Dcs, 'grantLease' | 'keepAlive' | 'releaseLeader'>;
  readonly #clock: Pick<Clock, 'bootMs'>;
  readonly #authority: AuthorityCell;
  #failures = 0;

  constructor(dcs: Pick<Dcs, 'grantLease' | 'keepAlive' | 'releaseLeader'>, clock: Pick<Clock, 'bootMs'>, authority: AuthorityCell) {
    this.#dcs = dcs;
    this.#clock = clock;
    this.#authority = authority;
  }

  /** Counts a failed renewal; true when the one before failed too. */
  failedBefore(): boolean {
    this.#failures += 1;
    return this.#failures > 1;
  }

  /**
   * Renews, or grants a new lease when there is none, it is gone, or the ttl changed. Of a round
   * that did not wait for its lease the answer may still come: another has asked since, and only
   * its own answer counts. Throws what the Dcs throws.
   */
  async renew(ttlSeconds: number, timeoutMs: number): Promise<void> {
    const startedAtMs = this.#clock.bootMs();
    this.#authority.note({ kind: 'lease-asked' });
    const { asked, lease } = this.#authority.now;
    if (lease.leaseId !== null && ttlSeconds === lease.ttlSeconds) {
      const renewed = await this.#renewOnce(lease.leaseId, timeoutMs);
      if (renewed || asked !== this.#authority.now.asked) return;
      this.forget();
    }
    const leftMs = Math.max(MIN_GRANT_MS, timeoutMs - (this.#clock.bootMs() - startedAtMs));
    const sentAtMs = this.#clock.bootMs();
    const leaseId = await this.#dcs.grantLease(ttlSeconds, { timeoutMs: leftMs }).catch(async (error: unknown) => {
      // Only the ttl has changed: the lease that there is goes on as it is.
      const { leaseId: former } = this.#authority.now.lease;
      if (former === null || !refuses(error) || !(await this.keep(former, leftMs))) throw error;
      return null;
    });
    if (leaseId === null || asked !== this.#authority.now.asked) return;
    this.#failures = 0;
    this.#authority.note({ kind: 'lease-granted', asked, leaseId, ttlSeconds, sentAtMs });
  }

  async #renewOnce(leaseId: string, timeoutMs: number): Promise<boolean> {
    const { asked } = this.#authority.now;
    const sentAtMs = this.#clock.bootMs();
    const remainingSeconds = await this.#dcs.keepAlive(leaseId, { timeoutMs });
    if (remainingSeconds <= 0) return false;
    if (asked === this.#authority.now.asked) this.#failures = 0;
    this.#authority.note({ kind: 'lease-renewed', asked, leaseId, sentAtMs });
    return true;
  }

  /**
   * For an etcd that grants no lease, but renews (no room, a quota): this lease is ours from now
   * on, if etcd renews it once more. It is that of the leader key, which an agent before this one
   * has put there, or our own of another ttl. False: it is gone, or another round has asked since.
   * Throws what the Dcs throws.
   */
  async keep(leaseId: string, timeoutMs: number): Promise<boolean> {
    const { asked } = this.#authority.now;
    const sentAtMs = this.#clock.bootMs();
    const ttlSeconds = await this.#dcs.keepAlive(leaseId, { timeoutMs });
    if (asked !== this.#authority.now.asked || ttlSeconds <= 0) return false;
    this.#failures = 0;
    this.#authority.note({ kind: 'lease-granted', asked, leaseId, ttlSeconds, sentAtMs });
    return true;
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

  /** It is not renewed any more: etcd said that it does not exist, or it must not go on. */
  forget(): void {
    this.#authority.note({ kind: 'lease-forgotten' });
  }

  /**
   * Runs a write that carries the lease; a lease that turns out to be gone is forgotten, and the
   * write reported as not done.
   */
  async carry(write: (leaseId: string) => Promise<boolean>): Promise<boolean> {
    const { leaseId } = this.#authority.now.lease;
    if (leaseId === null) return false;
    try {
      return await write(leaseId);
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
