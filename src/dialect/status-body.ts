/**
 * The body of GET /patroni and of every health check, in Patroni's form and field order. Peers read
 * it to judge candidates.
 */
import { type ClusterView, type PostgresState, sameName } from '../core/cluster.ts';
import type { SqlFacts } from '../core/postgres-facts.ts';
import type { Settings } from '../core/settings.ts';
import { type Lsn, ZERO_LSN } from '../core/units.ts';
import type { AgentStatus, Standing } from '../ports/agent-status.ts';
import type { JsonObject } from '../support/json.ts';
import { failoverFenceBody, quorumBody } from './failover-fence.ts';
import { lsnToJson, publishedTags, replicationState, servedRole } from './member-record.ts';
import { sayOwnWord } from './own-word.ts';

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
  } else if (status.onDisk !== undefined) body['on_disk'] = onDisk(status.onDisk);
  if (status.clientsWait) body['clients_wait'] = status.clientsWait;
  if (status.sourceTrouble) body['source_trouble'] = status.sourceTrouble;
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
  if (status.scheduledRestart !== null) body['scheduled_restart'] = status.scheduledRestart;
  if (status.reinitialization) {
    const { job, state, reason } = status.reinitialization;
    body['reinitialize'] = { job, state, ...(reason === null ? {} : { reason }) };
  }
  Object.assign(body, sayOwnWord(status, 'body', status.clusterUnlocked));
  if (status.strangers !== undefined && status.strangers.length > 0) body['strangers'] = [...status.strangers];
  if (status.lockedOut) body['locked_out'] = { ...status.lockedOut };
  if (status.unexplained) body['unexplained'] = status.unexplained;
  if (status.failing !== undefined && Object.keys(status.failing).length > 0) body['failing'] = { ...status.failing };
  if (sql !== null) Object.assign(body, walFacts(sql, status));
  body['regent'] = {
    ...(status.build === undefined ? {} : { version: status.build }),
    rule: status.rule,
    because: status.because,
    ...sayOwnWord(status, 'regent', status.clusterUnlocked),
    ...failoverFenceBody(view, settings.dynamic),
    ...quorumBody(status),
    ...(status.guard?.state === 'armed' && status.guard.tethered === false ? { untethered: true } : {}),
  };
  return body;
}

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

/**
 * Regent's own facts about the WAL of a standby, beside the positions they are about. Agents of
 * earlier versions look into `wal` before `xlog`, so that they find them here too. Absent: there is
 * nothing to add to the positions.
 */
function walFacts(sql: SqlFacts, status: AgentStatus): JsonObject {
  if (!sql.inRecovery) return {};
  const facts = sayOwnWord({ ...status, replaying: sql.replaying === true }, 'wal', status.clusterUnlocked);
  return Object.keys(facts).length === 0 ? {} : { wal: { ...xlog(sql), ...facts } };
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
