/**
 * PostgreSQL parameters that must be the same on all members and are therefore taken from the
 * dynamic configuration only. Table: patroni-compat 2.7, for PostgreSQL 13 and newer.
 */
import { CONTROLLED_RANGES } from '../pgconf/guc.ts';
import type { Finding } from './problems.ts';
import { parseBool, parseInteger, parseReal } from './values.ts';

interface Rule {
  /** Null: set from other settings. */
  readonly fallback: string | null;
  /** What is wrong with the value, null when it will do. */
  readonly check: (value: string) => string | null;
  /** The spelling PostgreSQL 13+ knows. */
  readonly spell?: (value: string) => string;
  /** The range, for the mend. */
  readonly write: string;
}

function between({ min, max, fallback }: { readonly min: number; readonly max: number; readonly fallback: number }): Rule {
  return {
    fallback: String(fallback),
    check: (value) => {
      const number = parseInteger(value);
      if (number === null) return 'is not a whole number';
      if (number > max) return `is above the most allowed, ${max}`;
      return number >= min ? null : `is below the least allowed, ${min}`;
    },
    spell: (value) => String(parseInteger(value)),
    write: `write a number from ${min} to ${max}`,
  };
}

const neverSet: Rule = { fallback: null, check: () => "is set by Regent itself ('listen', 'scope')", write: 'remove it' };

const boolean = (fallback: string): Rule => ({
  fallback,
  check: (value) => (parseBool(value) === null ? 'is neither on nor off' : null),
  spell: (value) => (parseBool(value) ? 'on' : 'off'),
  write: "write 'on' or 'off'",
});

const CONTROLLED: Readonly<Record<string, Rule>> = {
  listen_addresses: neverSet,
  port: neverSet,
  cluster_name: neverSet,
  wal_level: {
    fallback: 'replica',
    check: (value) => (['hot_standby', 'replica', 'logical'].includes(value.toLowerCase()) ? null : 'does not allow replication'),
    spell: (value) => (value.toLowerCase() === 'hot_standby' ? 'replica' : value.toLowerCase()),
    write: "write 'replica' or 'logical'",
  },
  hot_standby: {
    fallback: 'on',
    check: (value) => (parseBool(value) === true ? null : 'would keep replicas from answering'),
    spell: () => 'on',
    write: "write 'on'",
  },
  max_connections: between(CONTROLLED_RANGES.max_connections),
  max_wal_senders: between(CONTROLLED_RANGES.max_wal_senders),
  max_prepared_transactions: between(CONTROLLED_RANGES.max_prepared_transactions),
  max_locks_per_transaction: between(CONTROLLED_RANGES.max_locks_per_transaction),
  track_commit_timestamp: boolean('off'),
  max_replication_slots: between(CONTROLLED_RANGES.max_replication_slots),
  max_worker_processes: between(CONTROLLED_RANGES.max_worker_processes),
  wal_log_hints: boolean('on'),
};

const WAL_KEEP_DEFAULT = '128MB';
const SEGMENT_MB = 16;

/**
 * True for what only the dynamic configuration may set; the two wal_keep_* count as well, though
 * they stand in postgresql.conf.
 */
export function isControlled(name: string): boolean {
  const lower = name.toLowerCase();
  return Object.hasOwn(CONTROLLED, lower) || lower === 'wal_keep_size' || lower === 'wal_keep_segments';
}

export interface ControlledValues {
  /** For the command line, without listen_addresses, port and cluster_name. */
  readonly commandLine: Readonly<Record<string, string>>;
  readonly walKeepSize: string;
  readonly findings: readonly Finding[];
}

/**
 * From the dynamic `postgresql.parameters`; what is missing or wrong takes its default. Names in
 * any case.
 */
export function controlledValues(parameters: Readonly<Record<string, string>>): ControlledValues {
  const given = new Map(Object.entries(parameters).map(([name, value]) => [name.toLowerCase(), { name, value }]));
  const findings: Finding[] = [];
  const commandLine: Record<string, string> = {};
  for (const [name, rule] of Object.entries(CONTROLLED)) {
    const found = given.get(name);
    const wrong = found ? rule.check(found.value) : null;
    if (found && wrong !== null) findings.push(wrongGuc(found.name, found.value, wrong, rule));
    if (rule.fallback === null) continue;
    commandLine[name] = found && wrong === null ? (rule.spell?.(found.value) ?? found.value) : rule.fallback;
  }
  const walKeepSize = walKeep(given.get('wal_keep_size'), given.get('wal_keep_segments'), findings);
  return { commandLine, walKeepSize, findings };
}

function wrongGuc(name: string, value: string, wrong: string, rule: Rule): Finding {
  const used = rule.fallback === null ? 'it is ignored' : `the default ${rule.fallback} is used`;
  const severity = rule.fallback === null ? 'warning' : 'error';
  return { path: [name], message: `${name} = '${value.slice(0, 60)}' ${wrong}; ${used}`, mend: rule.write, severity };
}

interface Given {
  readonly name: string;
  readonly value: string;
}

/** PostgreSQL 13 counts in bytes what older ones counted in segments of 16 MB. */
function walKeep(size: Given | undefined, segments: Given | undefined, findings: Finding[]): string {
  const wrong = (given: Given, message: string, mend: string) => {
    findings.push({ path: [given.name], message: `${given.name} = '${given.value.slice(0, 60)}' ${message}`, mend, severity: 'error' });
    return WAL_KEEP_DEFAULT;
  };
  if (size) {
    const megabytes = parseReal(size.value, 'MB');
    if (megabytes === null) return wrong(size, `is not a size; the default ${WAL_KEEP_DEFAULT} is used`, "write such as '128MB'");
    if (megabytes < SEGMENT_MB) return wrong(size, `is below 16MB; the default ${WAL_KEEP_DEFAULT} is used`, "write '16MB' or more");
    return /[a-z]/i.test(size.value) ? size.value.trim() : `${megabytes}MB`;
  }
  if (segments) {
    const count = parseInteger(segments.value);
    if (count === null || count < 1) {
      return wrong(segments, `is not a number from 1 up; the default ${WAL_KEEP_DEFAULT} is used`, "write wal_keep_size: '128MB' instead");
    }
    return `${count * SEGMENT_MB}MB`;
  }
  return WAL_KEEP_DEFAULT;
}

/**
 * Recovery parameters a user may set; the rest is Regent's own, or unknown to PostgreSQL 13 or a
 * later one.
 */
export function isUserRecoveryGuc(name: string): boolean {
  const lower = name.toLowerCase();
  return !lower.startsWith('recovery_target') && !NOT_THE_USERS.includes(lower);
}

const NOT_THE_USERS = [
  'primary_conninfo',
  'primary_slot_name',
  'standby_mode',
  'trigger_file',
  'promote_trigger_file',
  'pause_at_recovery_target',
];
