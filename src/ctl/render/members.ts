/**
 * The member table of `list` and `topology`, made from the body of `/cluster` (role, state and lag
 * are computed in one place).
 */
import { bracketed } from '../../config/hostport.ts';
import { roundHalfEven } from '../../config/values.ts';
import { isJsonObject } from '../../support/big-json.ts';
import type { JsonObject, JsonValue } from '../../support/json.ts';
import { UNAVAILABLE } from '../availability.ts';
import { isMachine, type MembersFormat } from '../choices.ts';
import { toFlowYaml, toYaml } from '../yaml.ts';
import { type Rows, renderRows } from './output.ts';
import type { Column } from './table.ts';

export interface MemberTableOptions {
  readonly cluster: string;
  /** The `initialize` key: null absent, '' being initialised, else the system identifier. */
  readonly initialize: string | null;
  /** Of a Citus cluster. */
  readonly group: number | null;
  readonly format: MembersFormat;
  readonly extended: boolean;
  /** Patroni 4.1's positions and both lags; otherwise one lag in MB. */
  readonly lsn: boolean;
  /** Lines below the table, only in the format for people. */
  readonly notes?: readonly string[];
}

const OPTIONAL = ['pending_restart', 'pending_restart_reason', 'scheduled_restart', 'tags'] as const;
type Optional = (typeof OPTIONAL)[number];
const REASON_LIMIT = 50;
const CAUSE_LIMIT = 120;
const BYTES_PER_MB = 1024 * 1024;

/** The whole answer for one cluster, footer included, without the closing newline. */
export function renderMembers(body: JsonObject, options: MemberTableOptions): string {
  const members = objectsOf(body['members']);
  const optional = OPTIONAL.filter((name) => options.extended || members.some((member) => truthy(member[name])));
  const { format } = options;
  const machine = isMachine(format);
  const columns = columnsFor(machine, options.lsn, optional);
  const withPort = needsPort(members);
  const ordered = options.format === 'topology' ? topology(members) : members.map((member) => ({ member, label: textOf(member['name']) }));
  const rows = ordered.map(({ member, label }) => [
    ...(machine ? [options.cluster] : []),
    label,
    hostOf(member, withPort),
    roleText(textOf(member['role'])),
    textOf(member['state']),
    member['timeline'] ?? '',
    ...(options.lsn ? positions(member) : [lagInMb(member['lag'])]),
    ...optional.map((name) => optionalCell(member, name, options.format)),
  ]);
  const table: Rows = { columns, rows, title: titleOf(options) };
  if (machine) return renderRows(table, format, { dropEmpty: true, oneLine: true });
  return [renderRows(table, 'pretty'), ...footerOf(body), ...troubles(members), ...(options.notes ?? [])].join('\n');
}

/**
 * What the columns do not show. For example, a member looks well while its agent still has an older
 * connection.
 */
function troubles(members: readonly JsonObject[]): string[] {
  const out = members.filter((member) => truthy(member['locked_out']));
  const unknown = members.filter((member) => truthy(member['unexplained']));
  const outdated = members.filter((member) => truthy(member['files_outdated']));
  const mute = members.filter((member) => truthy(member['unresponsive']));
  const cut = members.filter((member) => truthy(member['source_trouble']) && member['state'] !== UNAVAILABLE);
  const closed = members.filter((member) => truthy(member['clients_wait']) && member['state'] !== UNAVAILABLE);
  const refusing = members.filter((member) => truthy(member['standby_cluster_refused']));
  return [
    ...refusing.map((member) => ` ${textOf(member['name'])} is ${textOf(member['standby_cluster_refused'])}`),
    ...closed.map((member) => ` ${textOf(member['name'])}: ${textOf(member['clients_wait'])}`),
    ...out.map(
      (member) => ` The agent of ${textOf(member['name'])} is locked out of its PostgreSQL: ${shortened(textOf(member['locked_out']))}`,
    ),
    ...mute.map((member) => ` The PostgreSQL of ${textOf(member['name'])} does not answer its agent: it hangs or is stopped`),
    ...unknown.map((member) => ` ${textOf(member['name'])} is left as it is: ${textOf(member['unexplained'])}`),
    ...outdated.map((member) => ` ${textOf(member['name'])} runs without its newest settings: ${textOf(member['files_outdated'])}`),
    ...cut.map((member) => ` ${textOf(member['name'])} is ${textOf(member['source_trouble'])}`),
  ];
}

/** The cause alone. `health` also shows what to do about it. */
function shortened(reason: string): string {
  const [cause = ''] = reason.split('; ');
  const text = cause.length > CAUSE_LIMIT ? `${cause.slice(0, CAUSE_LIMIT)}…` : cause;
  return text === reason ? text : `${text} (what to do: health)`;
}

export function titleOf({ cluster, initialize, group }: Pick<MemberTableOptions, 'cluster' | 'initialize' | 'group'>): string {
  const state = initialize === null ? 'uninitialized' : initialize || 'initializing';
  return group === null ? ` Cluster: ${cluster} (${state}) ` : ` Citus cluster: ${cluster} (group: ${group}, ${state}) `;
}

function columnsFor(machine: boolean, full: boolean, optional: readonly Optional[]): Column[] {
  const left = (name: string): Column => ({ name });
  const right = (name: string): Column => ({ name, align: 'right' });
  const lag = full
    ? [right('Receive LSN'), right(machine ? 'Receive Lag' : 'Lag'), right('Replay LSN'), right(machine ? 'Replay Lag' : 'Lag')]
    : [right('Lag in MB')];
  return [
    ...(machine ? [left('Cluster')] : []),
    ...['Member', 'Host', 'Role', 'State'].map(left),
    right('TL'),
    ...lag,
    ...optional.map((name) => left(`${name[0]?.toUpperCase()}${name.slice(1).replaceAll('_', ' ')}`)),
  ];
}

/** Ports are shown if one is unusual or if two members share a host. */
function needsPort(members: readonly JsonObject[]): boolean {
  const addressed = members.filter((member) => truthy(member['host']));
  if (addressed.some((member) => member['port'] !== undefined && member['port'] !== 5432)) return true;
  return new Set(addressed.map((member) => member['host'])).size < addressed.length;
}

function hostOf(member: JsonObject, withPort: boolean): string {
  const host = textOf(member['host']);
  return withPort && host !== '' && truthy(member['port']) ? `${bracketed(host)}:${textOf(member['port'])}` : host;
}

function roleText(role: string): string {
  return role
    .split('_')
    .map((word) => `${word.slice(0, 1).toUpperCase()}${word.slice(1).toLowerCase()}`)
    .join(' ');
}

/**
 * Receive LSN, its lag, replay LSN, its lag. All are null for a leader. The lag of an unknown
 * position is null.
 */
function positions(member: JsonObject): JsonValue[] {
  const pair = (lsn: JsonValue | undefined, lag: JsonValue | undefined): JsonValue[] => [
    lsn ?? '',
    lag === undefined || lag === 'unknown' ? '' : megabytes(lag),
  ];
  const known = (lsn: JsonValue | undefined) => lsn !== undefined && lsn !== 'unknown';
  const received = pair(member['receive_lsn'], member['receive_lag']);
  const replayed = pair(member['replay_lsn'], member['replay_lag']);
  // Members older than 4.1 publish one position: the received one while they stream, otherwise the
  // replayed one.
  if (!known(member['receive_lsn']) && !known(member['replay_lsn']) && known(member['lsn'])) {
    const single = pair(member['lsn'], member['lag']);
    return member['state'] === 'streaming' ? [...single, ...replayed] : [...received, ...single];
  }
  return [...received, ...replayed];
}

function lagInMb(lag: JsonValue | undefined): JsonValue {
  return lag === undefined ? '' : megabytes(lag);
}

function megabytes(lag: JsonValue): JsonValue {
  return typeof lag === 'number' || typeof lag === 'bigint' ? roundHalfEven(Number(lag) / BYTES_PER_MB) : lag;
}

function optionalCell(member: JsonObject, name: Optional, format: MemberTableOptions['format']): JsonValue {
  const value = member[name];
  if (!truthy(value)) return '';
  const inTerminal = format === 'pretty' || format === 'topology';
  switch (name) {
    case 'pending_restart':
      return '*';
    case 'pending_restart_reason':
      return reasons(value, inTerminal);
    case 'scheduled_restart':
      return isJsonObject(value) ? scheduledText(value) : textOf(value);
    case 'tags':
      if (!isJsonObject(value) || format === 'json' || format === 'yaml' || format === 'yml') return value ?? '';
      return format === 'pretty' ? toYaml(value).trimEnd() : toFlowYaml(value);
  }
}

function reasons(value: JsonValue | undefined, inTerminal: boolean): string {
  if (!isJsonObject(value)) return textOf(value);
  const lines = Object.entries(value).map(([parameter, change]) => {
    const told = isJsonObject(change) ? `${textOf(change['old_value'])}->${textOf(change['new_value'])}` : textOf(change);
    const line = `${parameter}: ${told}`;
    return inTerminal && line.length > REASON_LIMIT ? `${parameter}: [hidden - too long]` : line;
  });
  return lines.join('\n');
}

function scheduledText(value: JsonObject): string {
  const condition = value['postgres_version'] === undefined ? '' : ` if version < ${textOf(value['postgres_version'])}`;
  return `${textOf(value['schedule'])}${condition}`;
}

/**
 * The leader, then the members below the one they stream from. Members in a circle of
 * `replicatefrom` come last, at the first level.
 */
function topology(members: readonly JsonObject[]): { member: JsonObject; label: string }[] {
  const isLeader = (member: JsonObject) => textOf(member['role']).endsWith('leader');
  const leader = members.find(isLeader) ?? null;
  const replicas = members.filter((member) => !isLeader(member));
  const names = new Set(replicas.map((member) => textOf(member['name'])));
  const children = new Map<string | null, JsonObject[]>();
  for (const member of replicas) {
    const wanted = isJsonObject(member['tags']) ? textOf(member['tags']['replicatefrom']) : '';
    const parent = wanted !== textOf(member['name']) && names.has(wanted) ? wanted : leader && textOf(leader['name']);
    children.set(parent, [...(children.get(parent) ?? []), member]);
  }
  const shown: { member: JsonObject; label: string }[] = [];
  const seen = new Set<JsonObject>();
  const visit = (member: JsonObject, level: number): void => {
    if (seen.has(member)) return;
    seen.add(member);
    const name = textOf(member['name']);
    shown.push({ member, label: level === 0 ? name : `${'  '.repeat(level - 1)}+ ${name}` });
    for (const child of children.get(name) ?? []) visit(child, level + 1);
  };
  if (leader) visit(leader, 0);
  else for (const child of children.get(null) ?? []) visit(child, 1);
  for (const member of replicas) visit(member, 1);
  return shown;
}

function footerOf(body: JsonObject): string[] {
  const lines: string[] = [];
  if (truthy(body['pause'])) lines.push(' Maintenance mode: on');
  const scheduled = body['scheduled_switchover'];
  if (isJsonObject(scheduled)) {
    lines.push(` Switchover scheduled at: ${textOf(scheduled['at'])}`);
    for (const name of ['from', 'to']) {
      if (scheduled[name] !== undefined) lines.push(`${name.padStart(24)}: ${textOf(scheduled[name])}`);
    }
  }
  return lines;
}

function objectsOf(value: JsonValue | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

function textOf(value: JsonValue | undefined): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'object' ? toFlowYaml(value) : String(value);
}

function truthy(value: JsonValue | undefined): boolean {
  if (isJsonObject(value)) return Object.keys(value).length > 0;
  return Boolean(value);
}
