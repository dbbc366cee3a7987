/**
 * A member's name as PostgreSQL carries it in application_name, by which alone it knows standbys:
 * printable ASCII, at most 63 bytes. What does not fit is replaced and cut off without a word, on
 * the standby's side and not in synchronous_standby_names. So names are written there as they will
 * arrive, and what arrives is read back.
 */
import { recalled } from '../support/recall.ts';
import { type ClusterView, sameName } from './cluster.ts';
import type { SqlFacts } from './postgres-facts.ts';
import { formatSyncNames, parseSyncNames } from './sync-names.ts';

/** NAMEDATALEN less its terminator. */
const MAX_BYTES = 63;
const PLAIN = /^[\x20-\x7e]{0,63}$/;
/** From this on every byte that is replaced can be told from others. */
const ESCAPES_SINCE = 160_000;

const carriedOld = recalled((name: string) => carry(name, () => '?'));
const carriedNew = recalled((name: string) => carry(name, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`));

function carry(name: string, replace: (byte: number) => string): string {
  if (PLAIN.test(name)) return name;
  let text = '';
  for (const byte of new TextEncoder().encode(name)) text += byte >= 0x20 && byte <= 0x7e ? String.fromCharCode(byte) : replace(byte);
  return text.slice(0, MAX_BYTES);
}

/**
 * How a standby leader calls itself at the server outside. That may be the primary of a cluster
 * whose members have the same names, and would count what arrives here as a copy of its own
 * member's. No member is called so: a slash in a name is refused.
 */
export const nameOutside = ({ scope, name }: { readonly scope: string; readonly name: string }): string => `${scope}/${name}`;

/** `serverVersion`: as server_version_num has it. */
export function carriedName(name: string, serverVersion: number): string {
  return serverVersion >= ESCAPES_SINCE ? carriedNew(name) : carriedOld(name);
}

/** All that a member's name may have become on servers of any version. */
export function carriedForms(name: string): readonly string[] {
  return PLAIN.test(name) ? [name] : [name, carriedOld(name), carriedNew(name)];
}

/** synchronous_standby_names with every name as it arrives. */
export function carriedSyncNames(value: string, serverVersion: number): string {
  const parsed = parseSyncNames(value);
  if (parsed.names.every((name) => PLAIN.test(name))) return value;
  return formatSyncNames({ ...parsed, names: parsed.names.map((name) => carriedName(name, serverVersion)) });
}

/** Groups of members that PostgreSQL cannot tell apart; empty when all is well. */
export function carriedClashes(names: readonly string[]): string[][] {
  if (names.every((name) => PLAIN.test(name)) && new Set(names.map((name) => name.toLowerCase())).size === names.length) return [];
  const groups = new Map<string, string[]>();
  for (const name of [...new Set(names)].sort()) {
    const key = carriedOld(name).toLowerCase();
    groups.set(key, [...(groups.get(key) ?? []), name]);
  }
  return [...groups.values()].filter((group) => group.length > 1);
}

/**
 * What PostgreSQL says, with the members' own names. A name that two members share is nobody's:
 * neither is waited for.
 */
export function withMemberNames(sql: SqlFacts, view: ClusterView): SqlFacts {
  const names = [...view.members.map(({ name }) => name), ...(view.sync?.standbys ?? []), ...(view.sync?.leader ? [view.sync.leader] : [])];
  if (names.every((name) => PLAIN.test(name))) return sql;
  const own = (carried: string): string => {
    const matching = [...new Set(names)].filter((name) => sameName(carriedName(name, sql.serverVersion), carried));
    return matching.length === 1 ? matching[0]! : carried;
  };
  const inForce = parseSyncNames(sql.synchronousStandbyNames);
  const mapped = inForce.names.map(own);
  return {
    ...sql,
    replication: sql.replication.map((sender) => ({ ...sender, applicationName: own(sender.applicationName) })),
    ...(mapped.some((name, i) => name !== inForce.names[i]) && { synchronousStandbyNames: formatSyncNames({ ...inForce, names: mapped }) }),
  };
}
