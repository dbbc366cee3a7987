/** How long a leader may wait for anything: never past the moment at which it must give up. */
import { type Authority, RETRY_MS, stepDownAtMs } from './authority.ts';

/** Even a node that is late asks once more before it gives up. */
const LEAST_PATIENCE_MS = 200;
/** The same while the guard does not answer. */
const LEAST_GUARD_PATIENCE_MS = 50;
/**
 * A call that takes all the time there is ends when the moment to step down is past, not just
 * before.
 */
const PAST_MS = 1;

/**
 * How much time is left before this agent has to have stopped PostgreSQL, as the guard will;
 * Infinity while the guard answers. Of a guard that was never heard the deadline is not known: it
 * is asked again soon, whatever else does not answer.
 */
export function guardPatienceMs({ guard }: Authority, nowMs: number): number {
  if (guard.failures === 0) return Number.POSITIVE_INFINITY;
  if (guard.reliedUntilMs === null) return guard.retryAtMs === null ? Number.POSITIVE_INFINITY : RETRY_MS;
  return Math.max(LEAST_GUARD_PATIENCE_MS, guard.reliedUntilMs - nowMs);
}

/**
 * How long a call may take now that usually may take `mostMs`: never past the moment at which this
 * node would have to step down, and at least `leastMs`.
 */
export function patienceMs(a: Authority, nowMs: number, mostMs: number, leastMs = LEAST_PATIENCE_MS): number {
  const stepDown = stepDownAtMs(a);
  const byLeaseMs = stepDown === null ? mostMs : stepDown - nowMs + PAST_MS;
  return Math.max(Math.min(leastMs, mostMs), Math.min(mostMs, byLeaseMs, guardPatienceMs(a, nowMs)));
}
