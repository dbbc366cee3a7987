/**
 * PostgreSQL parameters that must be the same on all members and are therefore taken from the
 * dynamic configuration only. Table: docs/dialect.md, "Controlled parameters".
 */
import { CONTROLLED, type Controlled, WAL_KEEP } from '../pgconf/guc-table.ts';
import type { Finding } from './problems.ts';
import { parseBool, parseInteger, parseReal } from './values.ts';

interface Rule {
  /** Null: set from other settings. */
  readonly fallback: string | null;
  /** What is wrong with the value, null when it will do. */
  readonly check: (value: string) => string | null;
  /** The spelling PostgreSQL 13+ knows. */
  readonly spell: (value: string) => string;
  /** The range, to show in the mend. */
  readonly write: string;
}

const same = (value: string) => value;

function ruleOf(row: Controlled): Rule {
  switch (row.kind) {
    case 'own':
      return { fallback: null, check: () => "is set by Regent itself ('listen', 'scope')", spell: same, write: 'remove it' };
    case 'wal-level':
      return {
        fallback: row.fallback,
        check: (value) => (['hot_standby', 'replica', 'logical'].includes(value.toLowerCase()) ? null : 'does not allow replication'),
        spell: (value) => (value.toLowerCase() === 'hot_standby' ? 'replica' : value.toLowerCase()),
        write: "write 'replica' or 'logical'",
      };
    case 'boolean':
      return row.only === undefined
        ? {
            fallback: row.fallback,
            check: (value) => (parseBool(value) === null ? 'is neither on nor off' : null),
            spell: (value) => (parseBool(value) ? 'on' : 'off'),
            write: "write 'on' or 'off'",
          }
        : {
            fallback: row.fallback,
            check: (value) => (parseBool(value) === true ? null : 'would keep replicas from answering'),
            spell: () => row.fallback,
            write: "write 'on'",
          };
    case 'whole':
      return {
        fallback: String(row.fallback),
        check: (value) => outside(row, value),
        spell: (value) => String(parseInteger(value)),
        write: `write a number from ${row.min} to ${row.max}`,
      };
  }
}

function outside({ min, max }: { readonly min: number; readonly max: number }, value: string): string | null {
  const number = parseInteger(value);
  if (number === null) return 'is not a whole number';
  if (number > max) return `is above the most allowed, ${max}`;
  return number >= min ? null : `is below the least allowed, ${min}`;
}

const RULES = Object.entries(CONTROLLED).map(([name, row]) => [name, ruleOf(row)] as const);

export interface ControlledValues {
  /** Settings of the command line, without listen_addresses, port and cluster_name. */
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
  for (const [name, rule] of RULES) {
    const found = given.get(name);
    const wrong = found ? rule.check(found.value) : null;
    if (found && wrong !== null) findings.push(wrongGuc(found.name, found.value, wrong, rule));
    if (rule.fallback === null) continue;
    commandLine[name] = found && wrong === null ? rule.spell(found.value) : rule.fallback;
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
    return WAL_KEEP.fallback;
  };
  if (size) {
    const megabytes = parseReal(size.value, 'MB');
    if (megabytes === null) return wrong(size, `is not a size; the default ${WAL_KEEP.fallback} is used`, "write such as '128MB'");
    if (megabytes < WAL_KEEP.segmentMegabytes)
      return wrong(size, `is below 16MB; the default ${WAL_KEEP.fallback} is used`, "write '16MB' or more");
    return /[a-z]/i.test(size.value) ? size.value.trim() : `${megabytes}MB`;
  }
  if (segments) {
    const count = parseInteger(segments.value);
    if (count === null || count < 1) {
      return wrong(segments, `is not a number from 1 up; the default ${WAL_KEEP.fallback} is used`, "write wal_keep_size: '128MB' instead");
    }
    return `${count * WAL_KEEP.segmentMegabytes}MB`;
  }
  return WAL_KEEP.fallback;
}
