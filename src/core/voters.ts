/** Which members /sync counts on, and how. */
import { type ClusterView, sameName } from './cluster.ts';

/** Compares names as PostgreSQL and Patroni do: without regard to case. */
export const includes = (names: readonly string[], name: string) => names.some((other) => sameName(other, name));

/**
 * The leader that /sync names and its standbys, which may have taken part in acknowledging commits.
 * Null: synchronous mode is off or not in force.
 */
export function syncVoters(view: ClusterView, mode: 'off' | 'on' | 'quorum'): readonly string[] | null {
  if (mode === 'off' || view.sync === null || view.sync.leader === null) return null;
  return [view.sync.leader, ...view.sync.standbys];
}

/**
 * /sync counts on the commits that this standby has confirmed. If its data directory was removed,
 * it no longer has them, yet its vote still counts.
 */
export function isCountedOn(view: ClusterView, mode: 'off' | 'on' | 'quorum', name: string): boolean {
  return includes(syncVoters(view, mode)?.slice(1) ?? [], name);
}

/**
 * Whether votes count. As long as /sync asks for votes, it decides. After a change from quorum to
 * on, not every standby it lists has every acknowledged commit, until the leader rewrites it.
 */
export function countsVotes(view: ClusterView, mode: 'off' | 'on' | 'quorum'): boolean {
  return mode === 'quorum' || (mode === 'on' && (view.sync?.quorum ?? 0) > 0);
}
