/** Whom /sync counts on, and how. */
import { type ClusterView, sameName } from './cluster.ts';

/** Names are compared as PostgreSQL and Patroni do: without regard to case. */
export const includes = (names: readonly string[], name: string) => names.some((other) => sameName(other, name));

/**
 * The names that, with the leader, may have taken part in acknowledging; null: synchronous mode is
 * off or not in force.
 */
export function syncVoters(view: ClusterView, mode: 'off' | 'on' | 'quorum'): readonly string[] | null {
  if (mode === 'off' || view.sync === null || view.sync.leader === null) return null;
  return [view.sync.leader, ...view.sync.standbys];
}

/**
 * Whom /sync counts on, beside its leader, for what he has confirmed: without data he has forgotten
 * that, and votes all the same.
 */
export function isCountedOn(view: ClusterView, mode: 'off' | 'on' | 'quorum', name: string): boolean {
  return includes(syncVoters(view, mode)?.slice(1) ?? [], name);
}

/**
 * Whether votes count. /sync decides as long as it asks for any: after a change from quorum to on
 * it still lists standbys of which not every one has everything, until the leader has written it
 * anew.
 */
export function countsVotes(view: ClusterView, mode: 'off' | 'on' | 'quorum'): boolean {
  return mode === 'quorum' || (mode === 'on' && (view.sync?.quorum ?? 0) > 0);
}
