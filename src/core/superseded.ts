/** Whether the cluster has moved on without a primary that runs without the leader key. */
import { clusterTimeline, sameName } from './cluster.ts';
import type { Context } from './context.ts';
import { syncVoters } from './voters.ts';

/** /history says that the cluster is on a later timeline than this node. */
export function isOutdated(c: Context): boolean {
  const expected = c.view === null ? null : clusterTimeline(c.view);
  const own = c.o.pg.sql?.timeline ?? null;
  return expected !== null && own !== null && own < expected;
}

/** The name of another member that runs as a primary; null: none answers that it does. */
export function anotherPrimary(c: Context): string | null {
  return [...(c.o.peers?.values() ?? [])].find((peer) => !peer.inRecovery && peer.state === 'running')?.name ?? null;
}

/**
 * The leader that /sync names, if it is another node. That node opened for writes since, or was
 * about to, and this node lacks what it acknowledged. Null: /sync names no other node, or an
 * operator's failover names this node.
 */
export function supersededBy(c: Context): string | null {
  if (c.view === null) return null;
  const former = syncVoters(c.view, c.o.settings.dynamic.synchronousMode)?.[0] ?? null;
  const request = c.view.failover;
  const overridden = request !== null && request.leader === null && request.candidate === c.me;
  return former === null || sameName(former, c.me) || overridden ? null : former;
}

/** Whether this primary may no longer take the free leader key back. */
export const isSuperseded = (c: Context): boolean => isOutdated(c) || supersededBy(c) !== null || anotherPrimary(c) !== null;

/** How this primary knows that it is superseded; the text goes to the log. */
export function movedOn(c: Context): string {
  if (isOutdated(c))
    return `the cluster is on timeline ${c.view === null ? null : clusterTimeline(c.view)}, this node on ${c.o.pg.sql?.timeline}`;
  const former = supersededBy(c);
  return former === null ? `${anotherPrimary(c)} is a primary too` : `by /sync ${former} has led since`;
}
