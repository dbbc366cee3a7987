/**
 * The value of the members/<name> key, from which the other members and the tools know this one.
 */
import { choreName } from '../core/chores.ts';
import type { PostgresState, Tags } from '../core/cluster.ts';
import { modesOf } from '../core/cluster-modes.ts';
import { type SqlFacts, walPosition } from '../core/postgres-facts.ts';
import { BEATS } from '../core/quorum/in-force.ts';
import type { Settings } from '../core/settings.ts';
import { AWAITS_SLOT_COPY } from '../core/slots/copies.ts';
import { type Lsn, ZERO_LSN } from '../core/units.ts';
import type { AgentStatus } from '../ports/agent-status.ts';
import type { JsonObject, JsonValue } from '../support/json.ts';

const BOOLEAN_TAGS: ReadonlySet<string> = new Set(['clonefrom', 'nofailover', 'noloadbalance', 'nosync', 'nostream']);
const ANSWERING: ReadonlySet<PostgresState> = new Set(['running', 'restarting', 'starting']);

/** Fields appear in Patroni's order; those that do not apply are left out, never null. */
export function memberRecord(status: AgentStatus, settings: Settings): JsonObject {
  const { database, proxyAddress } = settings.postgresql;
  const { connUrl, apiUrl } = ownUrls(settings);
  const record: JsonObject = {
    conn_url: connUrl,
    api_url: apiUrl,
    state: status.state,
    role: status.role,
    version: status.version,
  };
  if (proxyAddress !== null) record['proxy_url'] = `postgres://${proxyAddress}/${database}`;
  if (status.role === 'primary' && status.checkpointAfterPromote === false) record['checkpoint_after_promote'] = false;
  const tags = publishedTags(status.tags);
  if (Object.keys(tags).length > 0) record['tags'] = tags;
  if (status.pendingRestart) {
    record['pending_restart'] = true;
    record['pending_restart_reason'] = { ...status.pendingRestartReason };
  }
  if (status.configRevision) record['config_revision'] = status.configRevision;
  const idle = status.jobLabel === null || status.jobLabel === 'promote';
  if (status.sql !== null && idle && ANSWERING.has(status.state)) Object.assign(record, walFields(status.sql));
  if (status.scheduledRestart !== null) record['scheduled_restart'] = status.scheduledRestart;
  if (status.strangers !== undefined && status.strangers.length > 0) record['strangers'] = [...status.strangers];
  if (status.lockedOut) record['locked_out'] = status.lockedOut.reason;
  if (status.unresponsive) record['unresponsive'] = true;
  if (status.unexplained) record['unexplained'] = status.unexplained;
  const outdated = status.failing?.[choreName('files')];
  if (outdated !== undefined) record['files_outdated'] = outdated;
  if (status.steppedDown) record['stepped_down'] = status.steppedDown;
  if (status.clientsWait) record['clients_wait'] = status.clientsWait;
  if (status.refusedStandbyCluster) record['standby_cluster_refused'] = status.refusedStandbyCluster;
  if (status.sourceTrouble) record['source_trouble'] = status.sourceTrouble;
  if (status.awaitsSlotCopy) record[AWAITS_SLOT_COPY] = true;
  record['beats'] = BEATS;
  if (status.fence) record['fence'] = status.fence;
  if (status.paused) record['pause'] = true;
  return record;
}

/** Where others reach this member's PostgreSQL, and its agent. */
export function ownUrls({ local: { restapi }, postgresql }: Settings): { readonly connUrl: string; readonly apiUrl: string } {
  const { connectHost, connectPort, database } = postgresql;
  return {
    connUrl: `postgres://${bracketed(connectHost)}:${connectPort}/${database}`,
    apiUrl: `${restapi.certfile === null ? 'http' : 'https'}://${restapi.connectAddress}/patroni`,
  };
}

/**
 * A predefined tag that is off is not worth telling, unless it decides over the number it is paired
 * with.
 */
export function publishedTags(tags: Tags): JsonObject {
  const published = Object.entries(tags).filter(
    ([tag, value]) =>
      value !== undefined &&
      (!BOOLEAN_TAGS.has(tag) ||
        Boolean(value) ||
        (tag === 'nofailover' && tags.failover_priority !== undefined) ||
        (tag === 'nosync' && tags.sync_priority !== undefined)),
  );
  return Object.fromEntries(published) as JsonObject;
}

/**
 * What a standby does with WAL. Null on a primary, and on a standby that does not stream and may
 * not read an archive.
 */
export function replicationState(sql: SqlFacts): 'streaming' | 'in archive recovery' | null {
  if (!sql.inRecovery) return null;
  if (sql.receiver?.status === 'streaming') return 'streaming';
  return sql.restoreCommand === '' ? null : 'in archive recovery';
}

/** Small positions travel as plain numbers, so that every reader can do with them what it likes. */
export function lsnToJson(lsn: Lsn | null): JsonValue {
  if (lsn === null) return null;
  return lsn <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(lsn) : lsn;
}

/** The role PostgreSQL has by its own word; in a standby cluster the one the agent plays. */
export function servedRole(status: Pick<AgentStatus, 'role' | 'sql'>, settings: Settings): string {
  if (status.sql === null) return status.role;
  if (!status.sql.inRecovery) return 'primary';
  return modesOf(settings.dynamic.raw).standbyCluster ? status.role : 'replica';
}

function walFields(sql: SqlFacts): JsonObject {
  const fields: JsonObject = {};
  const position = walPosition(sql);
  if (position !== null) fields['xlog_location'] = lsnToJson(position);
  if (sql.inRecovery) {
    if (sql.receiveLsn !== null && sql.receiveLsn !== ZERO_LSN) fields['receive_lsn'] = lsnToJson(sql.receiveLsn);
    if (sql.replayLsn !== null && sql.replayLsn !== ZERO_LSN) fields['replay_lsn'] = lsnToJson(sql.replayLsn);
    const replication = replicationState(sql);
    if (replication !== null) fields['replication_state'] = replication;
  }
  if (sql.timeline) fields['timeline'] = sql.timeline;
  return fields;
}

function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}
