/**
 * Keeps the guard's deadline in step with the lease. The order that must hold: first the lease is
 * confirmed, then the guard knows its end, then PostgreSQL may be writable. Taking it off goes the
 * other way round: first PostgreSQL is not writable, then the guard is told to rest.
 */
import { type Context, isOpeningForWrites, unlockedMs } from '../core/context.ts';
import { leaseMargins, watchdogTimeoutSeconds } from '../core/settings.ts';
import type { GuardStatus } from '../ports/agent-status.ts';
import { ensureError, RegentError } from '../support/errors.ts';
import type { Lease } from './lease.ts';
import type { Parts } from './parts.ts';

const GUARD_TIMEOUT_MS = 500;
/** So many failures in a row and a guard of which no deadline is known counts as lost. */
const FAILURES_TOLERATED = 3;
const MIN_PATIENCE_MS = 50;
/** A leader whose guard did not answer asks it again so soon. */
const RETRY_MS = 1000;
/** An etcd that answers renews a lease in far less. */
const RENEW_TIMEOUT_MS = 1000;
/** What the agent takes to stop a primary once the time to take the leader key is over. */
const STOP_MS = 500;

export class Fence {
  readonly #parts: Parts;
  readonly #lease: Lease;
  /** Unknown after a start: a guard left by the agent before may still have a deadline. */
  #state: 'armed' | 'disarmed' | 'unknown' = 'unknown';
  #failures = 0;
  /**
   * The moment to step down that goes with the deadline the guard confirmed last: it strikes soon
   * after, whether it listens or not.
   */
  #reliedUntilMs: number | null = null;
  /** The deadline that the guard has; null: it rests, or it is not known what it has. */
  #deadlineMs: number | null = null;
  /**
   * That deadline is not of a lease of this agent, but of the one the leader key was found on, or
   * of the time there is to take the key.
   */
  #lent: 'lease' | 'grace' | null = null;
  #turn: Promise<unknown> = Promise.resolve();
  /** A leader must ask the guard again by then; null: no need. */
  retryAtMs: number | null = null;
  /** The lease that the leader key was on when etcd was last read. */
  #heldBy: string | null = null;

  constructor(parts: Parts, lease: Lease) {
    this.#parts = parts;
    this.#lease = lease;
    lease.limitBy(() => this.patienceMs);
  }

  /**
   * While it is not, PostgreSQL must not take writes: the guard cannot be told anything, and would
   * stop it without asking, or not at all.
   */
  get healthy(): boolean {
    if (this.#failures === 0) return true;
    return this.#reliedUntilMs === null ? this.#failures < FAILURES_TOLERATED : this.#parts.clock.bootMs() < this.#reliedUntilMs;
  }

  /** Throws when the lease is not confirmed or the guard does not confirm its deadline. */
  arm(): Promise<void> {
    return this.#inTurn(() => this.#arm());
  }

  async #arm(): Promise<void> {
    const { confirmedSentAtMs, ttlSeconds } = this.#lease.facts();
    if (confirmedSentAtMs === null)
      throw new RegentError('LEASE_UNCONFIRMED', 'there is no confirmed lease to arm the guard with', { policy: 'transient' });
    const { guardMs, stepDownMs } = leaseMargins(ttlSeconds);
    const deadlineMs = confirmedSentAtMs + guardMs;
    if (deadlineMs <= this.#parts.clock.bootMs())
      throw new RegentError('LEASE_UNCONFIRMED', 'the lease is about to end', { policy: 'transient' });
    await this.#armUntil(deadlineMs, confirmedSentAtMs + stepDownMs);
    this.#lent = null;
  }

  /**
   * Before the leader key is moved to the lease that this agent has now: where that one ends sooner
   * (a shorter ttl), the guard must not count on the old one any longer than the key does. A later
   * deadline waits until the key has moved. Throws what arm() throws.
   */
  async bringForward(): Promise<void> {
    const { confirmedSentAtMs, ttlSeconds } = this.#lease.facts();
    if (confirmedSentAtMs === null || this.#deadlineMs === null) return;
    if (confirmedSentAtMs + leaseMargins(ttlSeconds).guardMs < this.#deadlineMs) await this.arm();
  }

  async #armUntil(deadlineMs: number, reliedUntilMs: number): Promise<void> {
    // An order that fails may have been taken all the same (it came too late, its answer was lost):
    // the guard must then be told to rest again.
    this.#state = 'unknown';
    await this.#parts.guard.arm(deadlineMs, { timeoutMs: Math.min(GUARD_TIMEOUT_MS, this.patienceMs) });
    this.#state = 'armed';
    this.#deadlineMs = deadlineMs;
    this.#reliedUntilMs = reliedUntilMs;
  }

  /** As it shows itself to monitoring. */
  status(): GuardStatus {
    const strikesInMs = this.#deadlineMs === null ? null : Math.max(0, this.#deadlineMs - this.#parts.clock.bootMs());
    return { healthy: this.healthy, state: this.#state, strikesInMs, tethered: this.#parts.guard.tethered };
  }

  /**
   * When the guard will stop PostgreSQL, as far as is known (Clock.bootMs); of one that was never
   * heard and does not answer, soon.
   */
  get strikesAtMs(): number {
    if (this.#deadlineMs !== null) return this.#deadlineMs;
    const unheard = this.#failures > 0 && this.#reliedUntilMs === null;
    return unheard ? this.#parts.clock.bootMs() + RETRY_MS : Number.POSITIVE_INFINITY;
  }

  /**
   * How much time is left before this agent has to have stopped PostgreSQL, as the guard will;
   * Infinity while the guard answers. Of a guard that was never heard the deadline is not known: it
   * is asked again soon, whatever else does not answer.
   */
  get patienceMs(): number {
    if (this.#failures === 0) return Number.POSITIVE_INFINITY;
    if (this.#reliedUntilMs === null) return this.retryAtMs === null ? Number.POSITIVE_INFINITY : RETRY_MS;
    return Math.max(MIN_PATIENCE_MS, this.#reliedUntilMs - this.#parts.clock.bootMs());
  }

  disarm(): Promise<void> {
    return this.#inTurn(() => this.#disarm());
  }

  async #disarm(): Promise<void> {
    if (this.#state === 'disarmed') return;
    await this.#parts.guard.disarm({ timeoutMs: GUARD_TIMEOUT_MS });
    this.#state = 'disarmed';
    this.#reliedUntilMs = null;
    this.#deadlineMs = null;
    this.#lent = null;
  }

  /**
   * A primary may run while its guard rests and nothing is paused: its agent died in a pause that
   * is over. The lease that this agent asked for may be long in coming (an etcd without room grants
   * none), and this agent too may die before. So the guard gets a deadline first: by the time in
   * which a primary without the key has to take it; and a later one by the lease that the leader
   * key is on, if etcd renews it once more for us, whose name the key has. A guard that has a
   * deadline, from the agent before, is left alone: a restart of the agent costs nothing. Returns
   * how long this round may wait for a lease, in milliseconds.
   */
  async cover(c: Context): Promise<number> {
    const { pg, job } = c.o;
    const ours = pg.dataDir === 'valid' && pg.systemIdentifier !== null && pg.systemIdentifier === c.view?.initialize;
    if (c.paused || !c.mayBeWritable || job !== null || !ours) return Number.POSITIVE_INFINITY;
    try {
      if (!(await this.#inTurn(() => this.#lacksDeadline()))) return Number.POSITIVE_INFINITY;
      return await this.#lend(c);
    } catch (error) {
      this.#failures += 1;
      this.#parts.log.error(`the guard: ${ensureError(error).message}`);
      void this.reopen();
      return unlockedMs(c) / 2;
    }
  }

  /** Of its own accord the guard would not stop PostgreSQL, or not by a lease of this agent. */
  async #lacksDeadline(): Promise<boolean> {
    if (this.#deadlineMs !== null) return this.#lent !== null;
    if (this.#state === 'unknown') this.#deadlineMs = await this.#parts.guard.deadline({ timeoutMs: GUARD_TIMEOUT_MS });
    return this.#deadlineMs === null;
  }

  async #lend(c: Context): Promise<number> {
    const { clock } = this.#parts;
    if (c.attached) {
      await this.arm();
      return Number.POSITIVE_INFINITY;
    }
    // A key that is gone takes back what its lease had promised; one that only cannot be renewed
    // does not.
    if (this.#lent === null || (this.#lent === 'lease' && !c.lockMine)) {
      const untilMs = c.o.nowMs + 2 * unlockedMs(c);
      await this.#inTurn(() => this.#armUntil(untilMs + STOP_MS, untilMs));
      this.#lent = 'grace';
    }
    const sentAtMs = clock.bootMs();
    const ttlSeconds = c.lockMine ? await this.#renewed(c.view?.leader?.leaseId ?? null) : 0;
    if (ttlSeconds === 0) return unlockedMs(c) / 2;
    const { guardMs, stepDownMs } = leaseMargins(ttlSeconds);
    await this.#inTurn(() => this.#armUntil(sentAtMs + guardMs, sentAtMs + stepDownMs));
    this.#lent = 'lease';
    return Math.max(0, sentAtMs + stepDownMs - clock.bootMs());
  }

  /** Seconds for which etcd has renewed the lease; 0: it is gone, or etcd does not say. */
  async #renewed(leaseId: string | null): Promise<number> {
    if (leaseId === null) return 0;
    return this.#parts.dcs.keepAlive(leaseId, { timeoutMs: RENEW_TIMEOUT_MS }).catch(() => 0);
  }

  /**
   * After every observation: a leader's deadline moves on, a node that cannot be writable is left
   * alone.
   */
  async follow(c: Context): Promise<void> {
    // Renewals may arrive although their answers do not, or come too late to count: they would keep
    // the key, and with it everybody else, waiting for ever.
    if (!c.mayBeWritable && this.#lease.ended) this.#lease.forget();
    // What may take writes behind it is not known to have stopped: the key ends with its lease, and
    // the guard strikes before.
    if (c.o.pg.unexplained !== undefined && c.attached && !c.paused) this.#lease.forget();
    // A renewal may be confirmed in a round whose reading fails. It keeps this node leading, so it
    // must move the deadline on; a lease that was never seen to hold the key must not, for the key
    // may end with another.
    if (c.view !== null) this.#heldBy = c.attached ? c.o.lease.leaseId : null;
    const holds = this.#heldBy !== null && this.#heldBy === c.o.lease.leaseId;
    const arms = holds && c.mayLeadNow && c.mayBeWritable && !c.paused;
    this.retryAtMs = null;
    // No time to lose with one more try: this round ends the lead.
    if (arms && c.lockMine && (c.o.job === null || c.o.job.job.kind === 'handover') && !c.o.guardHealthy) return;
    try {
      if (arms) {
        await this.arm();
        if (c.isPrimary) await this.#watchdog(c);
      } else if (c.o.pg.unexplained !== undefined) {
        // The deadline that it has stands, in a pause as well; one that takes its place is to know
        // it.
        if (this.#state === 'unknown') await this.#lacksDeadline();
      } else if (c.paused || (!c.mayBeWritable && this.#mayRest(c))) {
        await this.disarm();
        if (this.#parts.watchdog.active) await this.#parts.watchdog.disable();
      }
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      this.#state = 'unknown';
      this.#parts.log.error(`the guard: ${ensureError(error).message}`);
      if (arms) this.#retryLater();
      else await this.reopen();
    }
  }

  /** Not awaited: the lead may have to end meanwhile. */
  #retryLater(): void {
    const now = this.#parts.clock.bootMs();
    const until = this.#reliedUntilMs ?? now;
    this.retryAtMs = until > now ? Math.min(now + RETRY_MS, until) : now + RETRY_MS;
    void this.reopen();
  }

  /**
   * Looks for the guard again, or starts a new one. Never throws: the next round tries again, and
   * gives the lead up if that fails too often.
   */
  async reopen(): Promise<void> {
    try {
      await this.#parts.guard.open();
    } catch (error) {
      this.#parts.log.error(`the guard cannot be started: ${ensureError(error).message}`);
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
        if (this.#deadlineMs !== null)
          await this.#parts.guard.arm(this.#deadlineMs, { timeoutMs: Math.min(GUARD_TIMEOUT_MS, this.patienceMs) });
      });
    } catch (error) {
      this.#parts.log.error(`the guard: ${ensureError(error).message}`);
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

  /** False when leadership must not be taken without it. */
  async activateWatchdog(): Promise<boolean> {
    const { dynamic, local } = this.#parts.settings.current();
    const { mode, safetyMarginSeconds } = local.watchdog;
    if (mode === 'off' || dynamic.pause) return true;
    const timeoutSeconds = watchdogTimeoutSeconds(dynamic.ttlSeconds, dynamic.loopWaitSeconds, safetyMarginSeconds);
    const counting = timeoutSeconds !== null && (await this.#parts.watchdog.activate(timeoutSeconds));
    return counting || mode !== 'required';
  }

  /**
   * Nothing is about to make PostgreSQL writable: no job of this agent, nor a promotion that one
   * before it has asked for, which goes on without it. That one held the leader key, and its guard
   * knows for how long.
   */
  #mayRest(c: Context): boolean {
    if (isOpeningForWrites(c) || c.o.job?.job.kind === 'bootstrap') return false;
    return this.#state !== 'unknown' || c.stopped || (c.view !== null && !c.lockMine);
  }

  async #watchdog(c: Context): Promise<void> {
    const { watchdog } = this.#parts;
    if (c.o.settings.local.watchdog.mode === 'off') return;
    if (!watchdog.active) await this.activateWatchdog();
    if (watchdog.active) await watchdog.keepAlive();
  }
}
