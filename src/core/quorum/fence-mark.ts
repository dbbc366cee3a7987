/**
 * The promise of a voter that it takes no more WAL from a leader: durable, and good for one term of
 * that leader and one revision of /sync.
 *
 * The term is the mod_revision at which the leader key got its present holder and lease. Once the
 * key or /sync has another revision than the one the promise names, no take-over that counts the
 * promise can succeed any more (Dcs.takeLead compares both), and the voter may stream again.
 */
import type { ClusterView } from '../cluster.ts';

export interface FenceMark {
  readonly leader: string;
  readonly term: string;
  readonly sync: string;
}

/** As members tell each other. */
export const fenceText = ({ term, sync }: Pick<FenceMark, 'term' | 'sync'>): string => `${term}/${sync}`;

/** What a promise given now would name; null: nobody leads, or there is no synchronous set. */
export function fenceFor({ leader, sync }: ClusterView): FenceMark | null {
  return leader === null || sync === null ? null : { leader: leader.name, term: leader.modRevision, sync: sync.modRevision };
}

/** Nothing has happened in etcd that would let go of it. */
export function holds(mark: FenceMark, view: ClusterView): boolean {
  const now = fenceFor(view);
  return now !== null && now.leader === mark.leader && fenceText(now) === fenceText(mark);
}
