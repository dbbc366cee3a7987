/**
 * PostgreSQL settings (GUCs) as text: which are whose, how they are written into a configuration
 * file, how they are read back. The file format:
 * https://www.postgresql.org/docs/current/config-setting.html#CONFIG-SETTING-CONFIGURATION-FILE
 */
import type { Settings } from '../core/settings.ts';

export type Gucs = Readonly<Record<string, string>>;

/**
 * Meaningful in recovery only; kept out of the main part of the file and out of
 * postgresql.auto.conf.
 */
export const RECOVERY_GUCS: ReadonlySet<string> = new Set([
  'archive_cleanup_command',
  'pause_at_recovery_target',
  'primary_conninfo',
  'primary_slot_name',
  'promote_trigger_file',
  'recovery_end_command',
  'recovery_min_apply_delay',
  'recovery_target',
  'recovery_target_action',
  'recovery_target_inclusive',
  'recovery_target_lsn',
  'recovery_target_name',
  'recovery_target_time',
  'recovery_target_timeline',
  'recovery_target_xid',
  'restore_command',
  'standby_mode',
  'trigger_file',
]);

/**
 * Targets exclude one another, and one of them left over in an included file would end replication
 * there.
 */
export const RECOVERY_TARGETS = [
  'recovery_target',
  'recovery_target_lsn',
  'recovery_target_name',
  'recovery_target_time',
  'recovery_target_xid',
] as const;

/** In the order in which they go on the postmaster's command line. */
export const CONTROLLED_GUCS = [
  'listen_addresses',
  'port',
  'cluster_name',
  'wal_level',
  'hot_standby',
  'max_connections',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
  'track_commit_timestamp',
  'max_replication_slots',
  'max_worker_processes',
  'wal_log_hints',
] as const;

export type ControlledGuc = (typeof CONTROLLED_GUCS)[number];

const CONTROLLED: ReadonlySet<string> = new Set(CONTROLLED_GUCS);

export function isControlled(name: string): boolean {
  return CONTROLLED.has(name.toLowerCase());
}

/** Words of the file format, and what says where the file itself lies: never a setting in it. */
const NEVER_WRITTEN: ReadonlySet<string> = new Set(['include', 'include_dir', 'include_if_exists', 'config_file', 'data_directory']);

/** What the file's grammar takes as a name. Anything else would make the whole file unreadable. */
export function isWritableName(name: string): boolean {
  return /^[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)*$/i.test(name) && !NEVER_WRITTEN.has(name.toLowerCase());
}

/** Names compare without case: the later spelling wins. */
export function normaliseGucs(gucs: Gucs): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(gucs)) result[name.toLowerCase()] = value;
  return result;
}

/**
 * A line break cannot stand in a value as it is; the format's own escapes can say it. NUL cannot be
 * said at all and is dropped.
 */
export function quoteValue(value: string): string {
  const escaped = value.replace(/\0/g, '').replace(/\\/g, '\\\\').replace(/'/g, "''").replace(/\n/g, '\\n').replace(/\r/g, '\\r');
  return `'${escaped}'`;
}

export function formatGuc(name: string, value: string): string {
  return `${name} = ${quoteValue(value)}`;
}

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

function unquoteValue(text: string): string {
  if (!text.startsWith("'")) return text;
  return text.slice(1, -1).replace(/''|\\([0-7]{1,3}|[\s\S])/g, (all, code: string | undefined) => {
    if (code === undefined) return "'";
    if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8) & 0xff);
    return SIMPLE_ESCAPES[code] ?? all.slice(1);
  });
}

const ASSIGNMENT = /^\s*([A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)*)\s*=?\s*('(?:''|\\.|[^'\\\n])*'|[^\s#']+)?/;

/**
 * The setting a line makes, its name in lower case; null for comments, blanks and lines PostgreSQL
 * would not read.
 */
export function parseConfLine(line: string): { readonly name: string; readonly value: string } | null {
  const match = ASSIGNMENT.exec(line);
  if (!match?.[1] || match[2] === undefined) return null;
  return { name: match[1].toLowerCase(), value: unquoteValue(match[2]) };
}

/** What a file sets, without following its includes. The last line wins. */
export function parseConf(text: string): Record<string, string> {
  const result: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const guc = parseConfLine(line);
    if (guc) result[guc.name] = guc.value;
  }
  return result;
}

/**
 * postgresql.auto.conf without the lines that set one of the names: it is read last and would
 * overrule what Regent writes.
 */
export function withoutGucs(text: string, names: ReadonlySet<string>): { readonly text: string; readonly removed: readonly string[] } {
  const removed: string[] = [];
  const lines = text.split('\n').filter((line) => {
    const guc = parseConfLine(line);
    if (!guc || !names.has(guc.name)) return true;
    removed.push(guc.name);
    return false;
  });
  return { text: lines.join('\n'), removed };
}

/** Lowest value that keeps a cluster working, and PostgreSQL's own highest. */
export const CONTROLLED_RANGES = {
  max_connections: { fallback: 100, min: 25, max: 262143 },
  max_wal_senders: { fallback: 10, min: 3, max: 262143 },
  max_prepared_transactions: { fallback: 0, min: 0, max: 262143 },
  max_locks_per_transaction: { fallback: 64, min: 32, max: 2147483647 },
  max_replication_slots: { fallback: 10, min: 4, max: 262143 },
  max_worker_processes: { fallback: 8, min: 2, max: 262143 },
} satisfies Partial<Record<ControlledGuc, { fallback: number; min: number; max: number }>>;

/** PostgreSQL's boolean words (unique prefixes count); null for anything else. */
export function parseBoolean(text: string): boolean | null {
  const word = text.trim().toLowerCase();
  if (word === '') return null;
  if (['on', '1'].includes(word) || 'true'.startsWith(word) || 'yes'.startsWith(word)) return true;
  if (['off', 'of', '0'].includes(word) || 'false'.startsWith(word) || 'no'.startsWith(word)) return false;
  return null;
}

function booleanOr(given: string | undefined, fallback: string): string {
  const value = given === undefined ? null : parseBoolean(given);
  return value === null ? fallback : value ? 'on' : 'off';
}

function walLevel(given: string | undefined): string {
  return given?.toLowerCase() === 'logical' ? 'logical' : 'replica';
}

/**
 * All controlled GUCs, each with a value a postmaster starts with: what cannot be used gives way to
 * the default, because one wrong number in etcd must not keep every member of the cluster from
 * starting.
 */
export function controlledGucs(settings: Settings): Readonly<Record<ControlledGuc, string>> {
  const given = normaliseGucs(settings.controlledParameters);
  const result = {
    listen_addresses: settings.postgresql.listenAddresses,
    port: String(settings.postgresql.port),
    cluster_name: settings.local.scope,
    wal_level: walLevel(given['wal_level']),
    hot_standby: 'on',
    track_commit_timestamp: booleanOr(given['track_commit_timestamp'], 'off'),
    wal_log_hints: booleanOr(given['wal_log_hints'], 'on'),
  } as Record<ControlledGuc, string>;
  for (const [name, range] of Object.entries(CONTROLLED_RANGES)) {
    const text = given[name]?.trim() ?? '';
    const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    result[name as ControlledGuc] = String(number >= range.min && number <= range.max ? number : range.fallback);
  }
  return Object.fromEntries(CONTROLLED_GUCS.map((name) => [name, result[name]])) as Record<ControlledGuc, string>;
}
