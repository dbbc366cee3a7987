/**
 * The member that another one streams from. Both the member and the leader use this answer: the
 * leader must have a slot for every member that comes to it.
 */
import { type ClusterView, type Member, memberOf } from './cluster.ts';
import type { Lsn } from './units.ts';

/** What is known of the member; null: not where its WAL ends. */
export interface Follower {
  readonly name: string;
  readonly tags: Pick<Member['tags'], 'replicatefrom'>;
  readonly lsn: Lsn | null;
}

/**
 * The member that `replicatefrom` names where that one is up, is certain to follow the leader, has
 * what is needed and does not follow this one, else the leader.
 */
export function upstreamOf(view: ClusterView, leader: string, follower: Follower): string {
  const { replicatefrom } = follower.tags;
  const wanted = replicatefrom ? memberOf(view, replicatefrom) : null;
  if (wanted === null || wanted.name === follower.name || wanted.state !== 'running') return leader;
  if (wanted.name !== leader && mayBeLeftBehind(wanted, memberOf(view, leader))) return leader;
  return follows(view, wanted, follower.name) || isStuckBehind(wanted, leader, follower) ? leader : wanted.name;
}

/**
 * A leader that was replaced by its voters' promises may still run, and its key may be from before
 * it led. To confirm to it what it writes would break the promises. Each promotion begins a
 * timeline, so who is on the leader's own follows it.
 */
function mayBeLeftBehind(wanted: Member, leader: Member | null): boolean {
  if (wanted.role !== 'replica' || (leader?.role !== 'primary' && leader?.role !== 'standby_leader')) return true;
  return wanted.timeline === null || wanted.timeline !== leader.timeline;
}

/**
 * It gets no WAL itself and is not ahead of its follower. No WAL comes from such a member, and that
 * may last for ever. A Patroni that does not publish `replay_lsn` yet may not tell of its
 * replication either, and is believed to be well.
 */
function isStuckBehind(wanted: Member, leader: string, { lsn }: Follower): boolean {
  const tells = wanted.replicationState !== null || wanted.replayLsn !== null;
  const cut = wanted.name !== leader && tells && wanted.replicationState !== 'streaming';
  return cut && lsn !== null && wanted.lsn !== null && wanted.lsn <= lsn;
}

/**
 * A chain of replicatefrom tags that comes back to the follower would leave a ring without a
 * primary.
 */
function follows(view: ClusterView, member: Member, follower: string): boolean {
  const seen = new Set<string>();
  let at: Member | null = member;
  while (at?.tags.replicatefrom && at.name !== view.leader?.name && !seen.has(at.name)) {
    if (at.tags.replicatefrom === follower) return true;
    seen.add(at.name);
    at = memberOf(view, at.tags.replicatefrom);
  }
  return false;
}
