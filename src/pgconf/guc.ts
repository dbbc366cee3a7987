/**
 * PostgreSQL settings (GUCs) as text: which are whose, how they are written into a configuration
 * file, how they are read back. The file format:
 * https://www.postgresql.org/docs/current/config-setting.html#CONFIG-SETTING-CONFIGURATION-FILE
 */
import type { Settings } from '../core/settings.ts';
import { CONTROLLED, CONTROLLED_GUCS, type Controlled, type ControlledGuc, NEVER_WRITTEN } from './guc-table.ts';

export type Gucs = Readonly<Record<string, string>>;

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

/** PostgreSQL's boolean words (unique prefixes count); null for anything else. */
export function parseBoolean(text: string): boolean | null {
  const word = text.trim().toLowerCase();
  if (word === '') return null;
  if (['on', '1'].includes(word) || 'true'.startsWith(word) || 'yes'.startsWith(word)) return true;
  if (['off', 'of', '0'].includes(word) || 'false'.startsWith(word) || 'no'.startsWith(word)) return false;
  return null;
}

/**
 * All controlled GUCs, each with a value that a postmaster starts with. The default replaces what
 * cannot be used, because one wrong number in etcd must not keep every member from starting.
 */
export function controlledGucs(settings: Settings): Readonly<Record<ControlledGuc, string>> {
  const given = normaliseGucs(settings.controlledParameters);
  const own: Readonly<Record<string, string>> = {
    listen_addresses: settings.postgresql.listenAddresses,
    port: String(settings.postgresql.port),
    cluster_name: settings.local.scope,
  };
  const values = CONTROLLED_GUCS.map((name) => [name, own[name] ?? usable(CONTROLLED[name], given[name] ?? '')]);
  return Object.fromEntries(values) as Record<ControlledGuc, string>;
}

function usable(row: Controlled, text: string): string {
  switch (row.kind) {
    case 'own':
      return '';
    case 'wal-level':
      return text.toLowerCase() === 'logical' ? 'logical' : row.fallback;
    case 'boolean': {
      const value = row.only === undefined ? parseBoolean(text) : null;
      return value === null ? row.fallback : value ? 'on' : 'off';
    }
    case 'whole': {
      const number = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
      return String(number >= row.min && number <= row.max ? number : row.fallback);
    }
  }
}
