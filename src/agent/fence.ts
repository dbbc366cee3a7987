/** Carries the guard's orders out, one after the other; which ones, core/guard-order.ts decides. */
import { type ArmOrder, byLease, byOwnLease, endsSooner } from '../core/authority.ts';
import { type Context, unlockedMs } from '../core/context.ts';
import {
  type GuardOrder,
  graceOrder,
  guardOrder,
  isUnheard,
  lacksCover,
  mayNeedCover,
  movesOnSince,
  mustForgetLease,
} from '../core/guard-order.ts';
import { guardPatienceMs } from '../core/patience.ts';
import type { Clock } from '../ports/clock.ts';
import type { Dcs } from '../ports/dcs.ts';
import type { Guard } from '../ports/guard.ts';
import type { Log } from '../ports/log.ts';
import { ensureError } from '../support/errors.ts';
import type { AuthorityCell } from './authority-cell.ts';
import { FORMER_LEASE_TIMEOUT_MS } from './lease.ts';
import type { WatchdogKeeper } from './watchdog-keeper.ts';

const GUARD_TIMEOUT_MS = 500;

export interface FencePorts {
  readonly clock: Pick<Clock, 'bootMs'>;
  readonly log: Pick<Log, 'error'>;
  readonly guard: Pick<Guard, 'arm' | 'deadline' | 'disarm' | 'open'>;
  readonly dcs: Pick<Dcs, 'keepAlive'>;
  readonly watchdog: Pick<WatchdogKeeper, 'keepAlive' | 'keepCounting' | 'rest'>;
}

export class Fence {
  readonly #ports: FencePorts;
  readonly #authority: AuthorityCell;
  #turn: Promise<unknown> = Promise.resolve();
  /** Of the last round. */
  #last: Context | null = null;

  constructor(ports: FencePorts, authority: AuthorityCell) {
    this.#ports = ports;
    this.#authority = authority;
  }

  /** By the lease. Throws when it is not confirmed, or the guard does not confirm its deadline. */
  arm(): Promise<void> {
    return this.#inTurn(() => this.#give(byOwnLease(this.#authority.now, this.#ports.clock.bootMs())));
  }

  /**
   * Before the leader key is moved to the lease that this agent has now, the guard hears of an
   * earlier end. Throws what arm() throws.
   */
  async keyMoves(): Promise<void> {
    this.#authority.note({ kind: 'key-moving' });
    if (!endsSooner(this.#authority.now)) return;
    await this.#inTurn(() => this.#give(byOwnLease(this.#authority.now, this.#ports.clock.bootMs(), true)));
  }

  disarm(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#authority.now.guard.state === 'disarmed') return;
      this.#authority.note({ kind: 'guard-ordered' });
      await this.#ports.guard.disarm({ timeoutMs: GUARD_TIMEOUT_MS });
      this.#authority.note({ kind: 'guard-rested' });
    });
  }

  async #give(order: ArmOrder): Promise<void> {
    this.#authority.note({ kind: 'guard-ordered' });
    await this.#ports.guard.arm(order.deadlineMs, { timeoutMs: this.#timeoutMs() });
    this.#authority.note({ kind: 'guard-armed', order });
  }

  #timeoutMs(): number {
    return Math.min(GUARD_TIMEOUT_MS, guardPatienceMs(this.#authority.now, this.#ports.clock.bootMs()));
  }

  async #hear(): Promise<void> {
    if (!isUnheard(this.#authority.now.guard)) return;
    this.#authority.note({ kind: 'guard-told', deadlineMs: await this.#ports.guard.deadline({ timeoutMs: GUARD_TIMEOUT_MS }) });
  }

  /**
   * Sees to it that the guard of a primary has a deadline before anybody waits for a lease. Returns
   * how long this round may wait for one, in milliseconds. Never throws.
   */
  async cover(c: Context): Promise<number> {
    if (!mayNeedCover(c)) return Number.POSITIVE_INFINITY;
    try {
      await this.#inTurn(() => this.#hear());
      if (!lacksCover(this.#authority.now)) return Number.POSITIVE_INFINITY;
      if (!c.attached) return await this.#lend(c);
      await this.arm();
      return Number.POSITIVE_INFINITY;
    } catch (error) {
      this.#failed(error, false);
      void this.reopen();
      return unlockedMs(c) / 2;
    }
  }

  /**
   * The guard first gets the time that is left to take the key. Then it gets the time of the lease
   * that the key is on, if the key names this node and etcd renews that lease once more.
   */
  async #lend(c: Context): Promise<number> {
    const { clock, dcs } = this.#ports;
    const grace = graceOrder(c, this.#authority.now);
    if (grace !== null) await this.#inTurn(() => this.#give(grace));
    const leaseId = c.lockMine ? (c.view?.leader?.leaseId ?? null) : null;
    const sentAtMs = clock.bootMs();
    const ttlSeconds = leaseId === null ? 0 : await dcs.keepAlive(leaseId, { timeoutMs: FORMER_LEASE_TIMEOUT_MS }).catch(() => 0);
    if (ttlSeconds === 0) return unlockedMs(c) / 2;
    const order = byLease(sentAtMs, ttlSeconds, 'former-lease');
    await this.#inTurn(() => this.#give(order));
    return Math.max(0, order.reliedUntilMs - clock.bootMs());
  }

  /**
   * Between two rounds: the guard's deadline moves on with the word of others. Not in a pause, nor
   * for what was no primary of this node's in the last round. Never throws.
   */
  async moveOn(): Promise<void> {
    if (this.#last === null || !movesOnSince(this.#last, this.#authority.now, this.#ports.clock.bootMs())) return;
    try {
      await this.arm();
    } catch (error) {
      this.#failed(error, true);
    }
  }

  /** After every observation. Never throws. */
  async follow(c: Context): Promise<void> {
    this.#last = c;
    const { now } = this.#authority;
    if (mustForgetLease(c, now, this.#ports.clock.bootMs())) this.#authority.note({ kind: 'lease-forgotten' });
    this.#authority.note({ kind: 'guard-round' });
    const { kind } = guardOrder(c, now);
    if (kind === 'give-up') return;
    try {
      await this.#carryOut(kind, c);
      this.#authority.note({ kind: 'guard-obeyed' });
    } catch (error) {
      this.#failed(error, kind === 'arm');
      // A leader does not wait for it: the lead may have to end meanwhile.
      if (kind === 'arm') void this.reopen();
      else await this.reopen();
    }
  }

  /**
   * A leader's watchdog is kept alive whatever its PostgreSQL does: it may stop or start for
   * minutes (a restart, a long checkpoint), or not let the agent in. Else it would reset a machine
   * whose agent is well.
   */
  async #carryOut(kind: GuardOrder['kind'], c: Context): Promise<void> {
    const { watchdog } = this.#ports;
    if (kind === 'ask') await this.#hear();
    if (kind === 'arm') {
      await this.arm();
      await watchdog.keepAlive();
    } else if (kind !== 'rest' && c.lockMine && c.mayLeadNow) await watchdog.keepCounting();
    if (kind === 'rest') {
      await this.disarm();
      await watchdog.rest();
    }
  }

  #failed(error: unknown, leads: boolean): void {
    this.#authority.note({ kind: 'guard-failed', atMs: this.#ports.clock.bootMs(), leads });
    this.#ports.log.error(`the guard: ${ensureError(error).message}`);
  }

  /**
   * Looks for the guard again, or starts a new one. Never throws: the next round tries again, and
   * gives the lead up if that fails too often.
   */
  async reopen(): Promise<void> {
    try {
      await this.#ports.guard.open();
    } catch (error) {
      this.#ports.log.error(`the guard cannot be started: ${ensureError(error).message}`);
    }
  }

  /**
   * The guard is gone. The one in its place is told at once what that one knew: the next round may
   * have to wait for etcd, and this agent may not live to see it.
   */
  async replace(): Promise<void> {
    await this.reopen();
    try {
      await this.#inTurn(async () => {
        const { deadlineMs } = this.#authority.now.guard;
        if (deadlineMs !== null) await this.#ports.guard.arm(deadlineMs, { timeoutMs: this.#timeoutMs() });
      });
    } catch (error) {
      this.#ports.log.error(`the guard: ${ensureError(error).message}`);
    }
  }

  /**
   * Rounds and jobs give orders at the same time, and what the guard has must be what was noted
   * last.
   */
  #inTurn<T>(order: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(order);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}
