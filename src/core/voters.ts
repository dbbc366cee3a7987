/** Which members /sync counts on, and how. */
import { type ClusterView, sameName } from './cluster.ts';

/** Compares names as PostgreSQL and Patroni do: without regard to case. */
export const includes = (names: readonly string[], name: string) => names.some((other) => sameName(other, name));

/**
 * The leader that /sync names and its standbys, which may have taken part in acknowledging commits.
 * Null: synchronous mode is off or not in force. Only the leader takes it out of force: it deletes
 * the standbys' names after the mode was turned off. Until then it may go on acknowledging by them,
 * even where etcd cannot be reached, while they vouch for it.
 */
export function syncVoters({ sync }: ClusterView, mode: 'off' | 'on' | 'quorum'): readonly string[] | null {
  if (sync === null || sync.leader === null || (mode === 'off' && sync.standbys.length === 0)) return null;
  return [sync.leader, ...sync.standbys];
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
 * on, not every standby it lists has every acknowledged commit, until the leader rewrites it; nor
 * may it be passed over because the mode was turned off.
 */
export function countsVotes(view: ClusterView, mode: 'off' | 'on' | 'quorum'): boolean {
  if (mode === 'on') return (view.sync?.quorum ?? 0) > 0;
  return mode === 'quorum' || syncVoters(view, mode) !== null;
}
