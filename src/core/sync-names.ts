/** synchronous_standby_names: PostgreSQL's grammar as far as Regent writes it, and enough of it to read back. */
import { sameName } from './cluster.ts';

export interface SyncNames {
  /** FIRST and plain lists: 'priority'; ANY n: 'quorum'; nothing: 'off'. */
  readonly method: 'off' | 'priority' | 'quorum';
  readonly count: number;
  readonly names: readonly string[];
}

/** Stands for "nobody yet" in strict mode: no server may have this name, so commits wait. */
export const NOBODY = '__patroni_strict_sync_replica_placeholder__';

function quote(name: string): string {
  const plain = /^[A-Za-z_][A-Za-z_0-9$]*$/.test(name) && !['first', 'any'].includes(name.toLowerCase());
  return plain ? name : `"${name.replaceAll('"', '""')}"`;
}

/** Never prints '*': whoever connects next would then acknowledge. */
export function formatSyncNames(value: SyncNames): string {
  if (value.method === 'off' || value.names.length === 0) return '';
  const names = [...value.names].sort().map(quote);
  if (value.method === 'quorum') return `ANY ${value.count} (${names.join(',')})`;
  return names.length === 1 && value.count === 1 ? names[0]! : `${value.count} (${names.join(',')})`;
}

export function parseSyncNames(text: string): SyncNames {
  const body = text.trim();
  if (body === '') return { method: 'off', count: 0, names: [] };
  const listed = /^(?:(any|first)\s+)?(\d+)\s*\((.*)\)$/is.exec(body);
  const names = splitNames(listed ? listed[3]! : body);
  const count = listed ? Number(listed[2]) : 1;
  const method = listed?.[1]?.toLowerCase() === 'any' ? 'quorum' : 'priority';
  return { method, count, names };
}

function splitNames(list: string): readonly string[] {
  const names: string[] = [];
  for (const match of list.matchAll(/"((?:[^"]|"")*)"|([^\s,"]+)/g)) names.push(match[1]?.replaceAll('""', '"') ?? match[2]!);
  return names;
}

/** Members named, the placeholder (and the `*` older versions used for it) left out. */
export function realNames(value: SyncNames): readonly string[] {
  return value.names.filter((name) => name !== NOBODY && name !== '*');
}

export function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name) => b.some((other) => sameName(name, other)));
}
