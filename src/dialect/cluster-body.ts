/**
 * The body of GET /cluster, which is also what `regentctl list` shows: the cluster as etcd has it,
 * in Patroni's form.
 */
import { type ClusterView, type Member, sameName } from '../core/cluster.ts';
import { clusterModes } from '../core/cluster-modes.ts';
import { sourceOf } from '../core/member-source.ts';
import { formatLsn, type Lsn, lagBytes, ZERO_LSN } from '../core/units.ts';
import type { JsonObject } from '../support/json.ts';

/**
 * primary: it says that it is one, and another member leads, or nobody. Patroni shows such a member
 * as a replica.
 */
export type ShownRole = 'leader' | 'standby_leader' | 'sync_standby' | 'quorum_standby' | 'replica' | 'primary';

export function clusterBody(view: ClusterView, scope: string): JsonObject {
  const members = [...view.members].sort((a, b) => (a.name < b.name ? -1 : 1));
  const body: JsonObject = { members: members.map((member) => memberBody(view, member)) };
  if (clusterModes(view).paused) body['pause'] = true;
  const { failover } = view;
  if (failover !== null && failover.scheduledAt !== null) {
    const scheduled: JsonObject = { at: failover.scheduledAt };
    if (failover.leader !== null) scheduled['from'] = failover.leader;
    if (failover.candidate !== null) scheduled['to'] = failover.candidate;
    body['scheduled_switchover'] = scheduled;
  }
  body['scope'] = scope;
  return body;
}

export function shownRole(view: ClusterView, member: Member): ShownRole {
  const { synchronousMode, standbyCluster } = clusterModes(view);
  if (member.name === view.leader?.name)
    return standbyCluster && member.raw['standby_cluster_refused'] === undefined ? 'standby_leader' : 'leader';
  if (member.role === 'primary') return 'primary';
  const inSync = view.sync?.standbys.some((name) => sameName(name, member.name)) ?? false;
  if (synchronousMode !== 'off' && inSync) return synchronousMode === 'quorum' ? 'quorum_standby' : 'sync_standby';
  return 'replica';
}

/** A standby is shown by how it replicates, where it does. */
export function shownState(member: Member, role: ShownRole): string {
  return (role === 'leader' ? null : member.replicationState) ?? member.state;
}

/** Bytes behind the leader's last published position; null when the member's own is unknown. */
export function publishedLag(view: ClusterView, lsn: Lsn | null): number | null {
  if (lsn === null || lsn === ZERO_LSN) return null;
  return lagBytes(view.status?.optime ?? ZERO_LSN, lsn);
}

const SHOWN_AS_PUBLISHED = [
  'timeline',
  'pending_restart',
  'pending_restart_reason',
  'scheduled_restart',
  'tags',
  'locked_out',
  'unresponsive',
  'unexplained',
  'files_outdated',
  'source_trouble',
  'clients_wait',
  'standby_cluster_refused',
];

function memberBody(view: ClusterView, member: Member): JsonObject {
  const role = shownRole(view, member);
  const body: JsonObject = { name: member.name, role, state: shownState(member, role), api_url: member.apiUrl };
  const source = sourceOf(member);
  if (source !== null) {
    body['host'] = source.host;
    body['port'] = source.port;
  }
  for (const key of SHOWN_AS_PUBLISHED) {
    const value = member.raw[key];
    if (value !== undefined) body[key] = value;
  }
  // What a primary writes is no measure of how far it is behind another.
  if (member.name === view.leader?.name || role === 'primary') return body;
  const positions = { receive_: member.receiveLsn, replay_: member.replayLsn, '': member.lsn };
  for (const [prefix, lsn] of Object.entries(positions)) Object.assign(body, positionFields(view, prefix, lsn));
  return body;
}

function positionFields(view: ClusterView, prefix: string, lsn: Lsn | null): JsonObject {
  const lag = publishedLag(view, lsn);
  if (lsn === null || lag === null) return { [`${prefix}lsn`]: 'unknown', [`${prefix}lag`]: 'unknown' };
  return { [`${prefix}lag`]: lag, [`${prefix}lsn`]: formatLsn(lsn) };
}
