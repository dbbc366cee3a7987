/** An operator's request for a switchover or failover, as it counts while nobody leads. */
import type { FailoverKey } from '../cluster.ts';
import type { Context } from '../context.ts';

/** The request, unless its schedule is still to come; null: there is none. */
export function dueRequest(c: Context): FailoverKey | null {
  const request = c.view?.failover ?? null;
  return request === null || (request.scheduledAtMs !== null && request.scheduledAtMs > c.o.wallMs) ? null : request;
}

/**
 * For one ttl a node leaves the key to the member that the operator named, or to the others if the
 * operator told it to go. Only they know whether they can take it: by votes, the synchronous set
 * and their way to etcd. After that time any member may lead. The time begins when the last leader
 * is missed, where promises replace it while its key is still there.
 */
export function standsBack(c: Context): boolean {
  const since = c.m.leaderlessSinceMs ?? c.m.missesLeaderSinceMs;
  return since === null || c.o.nowMs - since < c.o.settings.dynamic.ttlSeconds * 1000;
}

/**
 * The request against which this node is about to lead, because nobody it was meant for could. It
 * would end the lead again if it stayed. Null: there is none.
 */
export function requestInVain(c: Context): FailoverKey | null {
  const request = dueRequest(c);
  if (request === null) return null;
  return request.leader === c.me || (request.candidate !== null && request.candidate !== c.me) ? request : null;
}
