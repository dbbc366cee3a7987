/** One `members/<name>` value. Formats: docs/wire.md. */
import type { Member, MemberRole, PostgresState, Tags } from '../../core/cluster.ts';
import { isJsonObject } from '../../support/big-json.ts';
import type { JsonObject, JsonValue } from '../../support/json.ts';
import { countOf, isTruthy, lsnOf, textOf, tryParseObject } from './decode-values.ts';

const ROLES: Readonly<Record<string, MemberRole>> = {
  primary: 'primary',
  master: 'primary',
  replica: 'replica',
  standby_leader: 'standby_leader',
  demoted: 'demoted',
  uninitialized: 'uninitialized',
  promoted: 'promoted',
};

const STATES: ReadonlySet<string> = new Set<PostgresState>([
  'initializing new cluster',
  'initdb failed',
  'running custom bootstrap script',
  'custom bootstrap failed',
  'creating replica',
  'running',
  'starting',
  'starting after custom bootstrap',
  'start failed',
  'restarting',
  'restart failed',
  'stopping',
  'stopped',
  'stop failed',
  'crashed',
]);

const BOOLEAN_TAGS = new Set(['nofailover', 'noloadbalance', 'clonefrom', 'nosync', 'nostream']);
const PRIORITY_TAGS = new Set(['failover_priority', 'sync_priority']);

/**
 * Never throws: what cannot be read is null, an unreadable value is a member of which only the name
 * is known.
 */
export function decodeMember(name: string, value: string, leaseId: string | null): Member {
  const raw = value.startsWith('postgres') ? fromLegacyUrl(value) : (tryParseObject(value) ?? {});
  const state = textOf(raw['state']);
  const role = textOf(raw['role']);
  return {
    name,
    leaseId,
    connUrl: textOf(raw['conn_url']),
    apiUrl: textOf(raw['api_url']),
    role: role !== null && Object.hasOwn(ROLES, role) ? ROLES[role]! : null,
    state: state !== null && STATES.has(state) ? (state as PostgresState) : 'unknown',
    version: textOf(raw['version']),
    tags: decodeTags(raw['tags']),
    lsn: lsnOf(raw['xlog_location']),
    receiveLsn: lsnOf(raw['receive_lsn']),
    replayLsn: lsnOf(raw['replay_lsn']),
    replicationState: textOf(raw['replication_state']),
    timeline: countOf(raw['timeline']) || null,
    pendingRestart: isTruthy(raw['pending_restart']),
    pendingRestartReason: decodeReasons(raw['pending_restart_reason']),
    scheduledRestart: isJsonObject(raw['scheduled_restart']) ? raw['scheduled_restart'] : null,
    checkpointAfterPromote: raw['checkpoint_after_promote'] !== false,
    pause: isTruthy(raw['pause']),
    raw,
  };
}

/**
 * Old members wrote their connection URL alone, with the REST address as its `application_name`.
 */
function fromLegacyUrl(value: string): JsonObject {
  const [connUrl, query] = splitOnce(value, '?');
  const apiUrl = new URLSearchParams(query ?? '').get('application_name');
  return { conn_url: connUrl, ...(apiUrl === null ? {} : { api_url: apiUrl }) };
}

function splitOnce(text: string, separator: string): [string, string | null] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + 1)];
}

/**
 * Predefined tags of a wrong type are read by Python's rules of truth, or dropped; custom ones are
 * kept as they are.
 */
function decodeTags(value: JsonValue | undefined): Tags {
  if (!isJsonObject(value)) return {};
  const tags: Record<string, unknown> = Object.create(null);
  for (const [tag, setting] of Object.entries(value)) {
    if (BOOLEAN_TAGS.has(tag)) {
      if (setting !== null) tags[tag] = isTruthy(setting);
    } else if (PRIORITY_TAGS.has(tag)) {
      const priority = typeof setting === 'string' && /^-?[0-9]{1,9}$/.test(setting.trim()) ? Number(setting) : setting;
      if (typeof priority === 'number' && Number.isSafeInteger(priority)) tags[tag] = priority;
    } else if (tag === 'replicatefrom') {
      const source = textOf(setting);
      if (source !== null) tags[tag] = source;
    } else {
      tags[tag] = setting;
    }
  }
  return { ...tags };
}

function decodeReasons(value: JsonValue | undefined): Member['pendingRestartReason'] {
  if (!isJsonObject(value)) return null;
  const reasons = Object.entries(value).flatMap(([setting, change]) =>
    isJsonObject(change) ? [[setting, { old_value: String(change['old_value']), new_value: String(change['new_value']) }] as const] : [],
  );
  return Object.fromEntries(reasons);
}
