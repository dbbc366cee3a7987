/**
 * What a node does after its promotion failed: it leaves the leader key to the others for a while.
 */
import type { Context } from './context.ts';
import { holdOffMs } from './hold-off.ts';
import type { Observation } from './model.ts';
import type { DynamicSettings } from './settings.ts';

/** How often the time left to the others doubles. */
const MOST_DOUBLINGS = 2;

/** How long a node stays out of the race after its promotion failed: one lease at least. */
export const abstainMs = (dynamic: DynamicSettings): number => Math.max(10_000, dynamic.ttlSeconds * 1000);

/**
 * It leaves the leader key to the others for now: a promotion or a start of it failed, or it gave
 * the key up.
 */
export const keepsOut = (c: Context): boolean => c.m.abstainUntilMs !== null && c.o.nowMs < c.m.abstainUntilMs;

/** The promotion failed a moment ago, and now the other members have their turn. */
export function promotionFailed(c: Context): boolean {
  if (c.m.failures.promote === undefined) return false;
  return holdOffMs(c, 'promote') > 0 || keepsOut(c);
}

/** What the adapter says of a promotion that it no longer waits for. */
const STILL_UNDER_WAY = 'PROMOTE_TIMEOUT';

/**
 * A promotion that this agent has ordered has just ended, and PostgreSQL has carried it out, or may
 * yet.
 */
export const hasOrderedPromotion = ({ ended }: Pick<Observation, 'ended'>): boolean =>
  ended.some(({ job, ok, code }) => job.kind === 'promote' && (ok || code === STILL_UNDER_WAY));

/**
 * The promotion was given up, and PostgreSQL may carry it out yet: nothing calls back a startup
 * process that has read the request. So the key does not go while this server runs. In a pause no
 * server is stopped.
 */
export const mayStillPromote = (c: Context): boolean =>
  c.lockMine && c.isStandby && !c.paused && promotionFailed(c) && c.m.failures.promote?.code === STILL_UNDER_WAY;

/**
 * Several promotions of this node failed in a row, so the cause may be permanent. The node tells
 * the others, which then do not wait for it, and leaves them the key for longer and longer. Null:
 * this is not so, or it has waited long enough.
 */
export function promotionsFailing(c: Context): string | null {
  const failure = c.m.failures.promote;
  if (failure === undefined || failure.count < 2) return null;
  const untilMs = failure.lastAtMs + abstainMs(c.o.settings.dynamic) * 2 ** Math.min(MOST_DOUBLINGS, failure.count - 1);
  return c.o.nowMs < untilMs ? `${failure.count} promotions of this node failed in a row (${failure.message})` : null;
}
