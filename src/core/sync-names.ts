/**
 * synchronous_standby_names: PostgreSQL's grammar as far as Regent writes it, and enough of it to
 * read back.
 */
import { recalled } from '../support/recall.ts';
import { sameName } from './cluster.ts';

export interface SyncNames {
  /** FIRST and plain lists: 'priority'; ANY n: 'quorum'; nothing: 'off'. */
  readonly method: 'off' | 'priority' | 'quorum';
  readonly count: number;
  readonly names: readonly string[];
}

/** Means "no standby yet" in strict mode: no server may have this name, so commits wait. */
export const NOBODY = '__patroni_strict_sync_replica_placeholder__';

function quote(name: string): string {
  const plain = /^[A-Za-z_][A-Za-z_0-9$]*$/.test(name) && !['first', 'any'].includes(name.toLowerCase());
  return plain ? name : `"${name.replaceAll('"', '""')}"`;
}

/** Never prints '*': the next server that connects would then acknowledge. */
export function formatSyncNames(value: SyncNames): string {
  if (value.method === 'off' || value.names.length === 0) return '';
  const names = [...value.names].sort().map(quote);
  if (value.method === 'quorum') return `ANY ${value.count} (${names.join(',')})`;
  return names.length === 1 && value.count === 1 ? names[0]! : `${value.count} (${names.join(',')})`;
}

const LISTED = /^(?:(any|first)\s+)?(\d+)\s*\((.*)\)$/is;

export const parseSyncNames = recalled((text: string): SyncNames => {
  const body = text.trim();
  if (body === '') return { method: 'off', count: 0, names: [] };
  const listed = LISTED.exec(body);
  const names = splitNames(listed ? listed[3]! : body);
  const count = listed ? Number(listed[2]) : 1;
  const method = listed?.[1]?.toLowerCase() === 'any' ? 'quorum' : 'priority';
  return { method, count, names };
});

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

const NAME = String.raw`(?:"(?:[^"]|"")+"|(?!(?:first|any)\b)[a-z_\u0080-\uffff][a-z_0-9$\u0080-\uffff]*|\d+|\*)`;
const LIST = `\\s*${NAME}(?:\\s*,\\s*${NAME})*\\s*`;
const VALID = new RegExp(`^(?:${LIST}|(?:(?:any|first)\\s+)?\\d+\\s*\\(${LIST}\\))$`, 'i');

/**
 * A value of the user's as the node `me` may have it. Its own name is left out: it never connects
 * to itself, and every commit would wait for it. Names that want quotes (`node-2`) get them:
 * PostgreSQL would not start with them bare. The rest keeps its order, which is its priority, and
 * its count as far as there are names for it. '' when nothing is left, or nothing can be made of
 * it.
 */
export function userSyncNames(text: string, me: string): string {
  const body = text.trim();
  if (isMalformed(body)) return '';
  const { names } = parseSyncNames(body);
  const kept = names.filter((name) => !sameName(name, me));
  if (kept.length === 0) return '';
  if (kept.length === names.length && VALID.test(body)) return text;
  const list = kept.map((name) => (name === '*' ? name : quote(name))).join(', ');
  const listed = LISTED.exec(body);
  if (listed === null) return list;
  const count = kept.includes('*') ? Number(listed[2]) : Math.min(Number(listed[2]), kept.length);
  return `${listed[1]?.toUpperCase() ?? 'FIRST'} ${count} (${list})`;
}

/**
 * Brackets that enclose no list: quotes would make names of them, for which every commit would
 * wait.
 */
export function isMalformed(text: string): boolean {
  const body = text.trim();
  const list = LISTED.exec(body)?.[3] ?? body;
  return /[()]/.test(list.replace(/"(?:[^"]|"")*"/g, ''));
}
