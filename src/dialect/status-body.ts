/**
 * The body of GET /patroni and of every health check, in Patroni's form and field order. Peers read
 * it to judge candidates.
 */
import { type ClusterView, type PostgresState, sameName } from '../core/cluster.ts';
import type { SqlFacts } from '../core/postgres-facts.ts';
import type { Settings } from '../core/settings.ts';
import { type Lsn, ZERO_LSN } from '../core/units.ts';
import type { AgentStatus, Reinitialization, Standing } from '../ports/agent-status.ts';
import type { JsonObject } from '../support/json.ts';
import { failoverFenceBody, quorumBody } from './failover-fence.ts';
import { lsnToJson, publishedTags, replicationState, servedRole } from './member-record.ts';
import { sayOwnWord, sayWatchdog } from './own-word.ts';

export type SyncStanding = 'sync_standby' | 'quorum_standby' | null;

export function statusBody(status: AgentStatus, view: ClusterView | null, settings: Settings): JsonObject {
  const { sql } = status;
  const body: JsonObject = { state: shownPostgresState(status) };
  if (sql !== null) body['postmaster_start_time'] = sql.postmasterStartTime;
  body['role'] = servedRole(status, settings);
  if (sql !== null) {
    body['server_version'] = sql.serverVersion;
    body['xlog'] = xlog(sql);
    const standing = syncStanding(status, view, settings);
    if (standing !== null) body[standing] = true;
    body['timeline'] = sql.timeline;
    const replication = replicationState(sql);
    if (replication !== null) body['replication_state'] = replication;
    if (sql.replication.length > 0) body['replication'] = walsenders(sql);
  }
  if (status.paused) body['pause'] = true;
  if (status.clusterUnlocked) body['cluster_unlocked'] = true;
  if (status.failsafeMode?.isActive) body['failsafe_mode_is_active'] = true;
  body['dcs_last_seen'] = Math.floor(status.dcsLastSeen);
  const tags = publishedTags(status.tags);
  if (Object.keys(tags).length > 0) body['tags'] = tags;
  if (status.systemIdentifier !== null) body['database_system_identifier'] = status.systemIdentifier;
  if (status.pendingRestart) {
    body['pending_restart'] = true;
    body['pending_restart_reason'] = { ...status.pendingRestartReason };
  }
  body['patroni'] = { version: status.version, scope: status.scope, name: status.name };
  if (status.scheduledRestart !== null) body['scheduled_restart'] = shownRestart(status.scheduledRestart);
  Object.assign(body, sayWatchdog(status));
  body['regent'] = regentBody(status, view, settings);
  return body;
}

/**
 * Everything that Patroni does not say. It is in one place, because there are programs that take
 * whatever else they find for what they know.
 */
function regentBody(status: AgentStatus, view: ClusterView | null, settings: Settings): JsonObject {
  const { sql, clusterUnlocked, strangers = [], failing = {} } = status;
  return {
    ...(status.build === undefined ? {} : { version: status.build }),
    rule: status.rule,
    because: status.because,
    ...sayOwnWord({ ...status, replaying: sql?.replaying === true }, { clusterUnlocked, isStandby: sql?.inRecovery === true }),
    ...failoverFenceBody(view, settings.dynamic),
    ...quorumBody(status),
    ...(status.guard?.state === 'armed' && status.guard.tethered === false ? { untethered: true } : {}),
    ...(sql === null && status.onDisk !== undefined ? { on_disk: onDisk(status.onDisk) } : {}),
    ...(status.clientsWait ? { clients_wait: status.clientsWait } : {}),
    ...(status.refusedStandbyCluster ? { standby_cluster_refused: status.refusedStandbyCluster } : {}),
    ...(status.sourceTrouble ? { source_trouble: status.sourceTrouble } : {}),
    ...(status.missingLogicalSlots ? { missing_logical_slots: [...status.missingLogicalSlots] } : {}),
    ...(status.reinitialization ? { reinitialize: reinitialization(status.reinitialization) } : {}),
    ...(strangers.length > 0 ? { strangers: [...strangers] } : {}),
    ...(status.lockedOut ? { locked_out: { ...status.lockedOut } } : {}),
    ...(status.unexplained ? { unexplained: status.unexplained } : {}),
    ...(Object.keys(failing).length > 0 ? { failing: { ...failing } } : {}),
  };
}

/** When PostgreSQL was started is for the agent: it tells whether the restart is still wanted. */
function shownRestart({ postmaster_start_time: _, ...asked }: JsonObject): JsonObject {
  return asked;
}

const reinitialization = ({ job, state, reason }: Reinitialization): JsonObject => ({ job, state, ...(reason === null ? {} : { reason }) });

const onDisk = (end: { readonly timeline: number; readonly lsn: Lsn } | null): JsonObject =>
  end === null ? {} : { timeline: end.timeline, location: lsnToJson(end.lsn) };

/** A server that should be running but does not answer is not called running. */
export function shownPostgresState(status: Pick<AgentStatus, 'state' | 'sql'>): PostgresState {
  return status.state === 'running' && status.sql === null ? 'unknown' : status.state;
}

/**
 * Whether etcd lists this replica as one to be promoted without loss, under the name of the mode in
 * force.
 */
export function syncStanding(status: Standing, view: ClusterView | null, settings: Settings): SyncStanding {
  const mode = settings.dynamic.synchronousMode;
  if (mode === 'off' || servedRole(status, settings) !== 'replica') return null;
  const listed = view?.sync?.standbys.some((name) => sameName(name, status.name)) ?? false;
  if (!listed) return null;
  return mode === 'quorum' ? 'quorum_standby' : 'sync_standby';
}

/**
 * Nothing but what Patroni has there: exporters read the numbers without looking at what else there
 * is.
 */
function xlog(sql: SqlFacts): JsonObject {
  if (!sql.inRecovery) return { location: lsnToJson(sql.flushLsn ?? ZERO_LSN) };
  return {
    received_location: lsnToJson(sql.receiveLsn ?? sql.replayLsn ?? ZERO_LSN),
    replayed_location: lsnToJson(sql.replayLsn ?? ZERO_LSN),
    replayed_timestamp: sql.replayedTimestamp,
    paused: sql.replayPaused,
  };
}

function walsenders(sql: SqlFacts): JsonObject[] {
  return sql.replication.map((sender) => ({
    usename: sender.usename,
    application_name: sender.applicationName,
    client_addr: sender.clientAddr,
    state: sender.state,
    sync_state: sender.syncState,
    sync_priority: sender.syncPriority,
  }));
}
