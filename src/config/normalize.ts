/**
 * Puts settings written in old or unusual places where they belong, and says so. Nothing is lost:
 * the proper place wins where both are given.
 */
import type { JsonObject, JsonValue } from '../support/json.ts';
import { bracketed, isLoopback, isWildcard, parseAddress } from './hostport.ts';
import { isMapping, nested, own, patchMerge, valueAt } from './merge.ts';
import type { Finding } from './problems.ts';

export interface Move {
  readonly from: readonly string[];
  readonly to: readonly string[];
}

export interface Normalized {
  readonly raw: JsonObject;
  readonly findings: readonly Finding[];
  /** What went where, so that places can follow. */
  readonly moves: readonly Move[];
}

/** Places, old to new. See docs/dialect.md, "Old places"; the tutorial's steps 8 and 10. */
const MOVES: readonly Move[] = [
  { from: ['dcs'], to: ['bootstrap', 'dcs'] },
  { from: ['postgresql', 'name'], to: ['name'] },
  { from: ['postgresql', 'scope'], to: ['scope'] },
  { from: ['postgresql', 'replica', 'replicatefrom'], to: ['tags', 'replicatefrom'] },
  { from: ['postgresql', 'superuser'], to: ['postgresql', 'authentication', 'superuser'] },
  { from: ['postgresql', 'replication'], to: ['postgresql', 'authentication', 'replication'] },
  { from: ['postgresql', 'pg_rewind'], to: ['postgresql', 'authentication', 'rewind'] },
  { from: ['postgresql', 'create_replica_method'], to: ['postgresql', 'create_replica_methods'] },
  { from: ['bootstrap', 'post_init'], to: ['bootstrap', 'post_bootstrap'] },
  { from: ['etcd', 'discovery_srv'], to: ['etcd', 'srv'] },
  { from: ['etcd', 'srv_domain'], to: ['etcd', 'srv'] },
  { from: ['etcd3', 'discovery_srv'], to: ['etcd3', 'srv'] },
  { from: ['etcd3', 'srv_domain'], to: ['etcd3', 'srv'] },
];

/** Aliases Patroni documents as well need no warning. */
const SILENT = ['post_init', 'discovery_srv', 'srv_domain'];

export function normalizeLocal(raw: JsonObject): Normalized {
  let result = raw;
  const findings: Finding[] = [];
  const moves: Move[] = [];
  for (const move of MOVES) {
    const value = valueAt(result, move.from);
    if (value === undefined || value === null) continue;
    const name = move.from.at(-1)!;
    const target = move.to.join('.');
    const there = valueAt(result, move.to);
    result = removed(result, move.from);
    if (move.from[0] === 'dcs' && isMapping(value) && isMapping(there)) {
      result = patchMerge(result, nested(move.to, patchMerge(value, there)));
      findings.push(sharedBlock(value, there));
      moves.push(move);
      continue;
    }
    const taken = there !== undefined;
    if (!taken) {
      const placed = patchMerge(result, nested(move.to, value));
      if (valueAt(placed, move.to) === undefined) continue;
      result = placed;
      moves.push(move);
    }
    if (SILENT.includes(name)) continue;
    const what = taken ? `ignored, because ${target} is given` : `taken as ${target}`;
    findings.push({ path: move.from, message: `'${name}' does not belong here; ${what}`, mend: mendOf(move, value), severity: 'warning' });
  }
  return { raw: result, findings, moves };
}

/**
 * The tutorial's block beside the proper one: what the proper one says counts, and the rest comes
 * from here.
 */
function sharedBlock(block: JsonObject, proper: JsonObject): Finding {
  const overruled = overruledKeys(block, proper);
  const except = overruled.length === 0 ? '' : `, except for ${overruled.join(', ')}, given there`;
  return {
    path: ['dcs'],
    message: `'dcs' does not belong here; taken as part of bootstrap.dcs${except}`,
    mend: DCS_MEND,
    severity: 'warning',
  };
}

/** Dotted paths at which both say something, and not the same. */
function overruledKeys(block: JsonObject, proper: JsonObject): string[] {
  return Object.entries(block).flatMap(([key, value]) => {
    const there = own(proper, key);
    if (there === undefined) return [];
    if (isMapping(value) && isMapping(there)) return overruledKeys(value, there).map((rest) => `${key}.${rest}`);
    return patchMerge({ key: value }, { key: there })['key'] === value ? [] : [key];
  });
}

const DCS_MEND = "write 'dcs:' under 'bootstrap:', indented; in a cluster that runs, use 'regentctl edit-config'";

/**
 * A mapping of replica methods to a list of its keys. Before files are merged, which drops keys
 * that hold nothing.
 */
export function methodsAsList(raw: JsonObject): { readonly raw: JsonObject; readonly findings: readonly Finding[] } {
  const postgresql = own(raw, 'postgresql');
  const methods = isMapping(postgresql) ? own(postgresql, METHODS) : undefined;
  if (!isMapping(postgresql) || !isMapping(methods)) return { raw, findings: [] };
  const names = Object.keys(methods);
  const message = `a mapping where a list is meant; its keys count: ${names.join(', ')}`;
  const mend = `write '${METHODS}: [${names.join(', ')}]', and the settings of a method below 'postgresql', under its name`;
  return {
    raw: { ...raw, postgresql: { ...postgresql, [METHODS]: names } },
    findings: [{ path: ['postgresql', METHODS], message, mend, severity: 'warning' }],
  };
}

const METHODS = 'create_replica_methods';

/**
 * Without a connect_address the address listened on is published, as by Patroni, where others can
 * reach it.
 */
export function deriveAddresses(raw: JsonObject): { readonly raw: JsonObject; readonly findings: readonly Finding[] } {
  const findings: Finding[] = [];
  let result = raw;
  for (const [section, defaultPort] of [
    ['restapi', null],
    ['postgresql', 5432],
  ] as const) {
    const [given, listen] = ['connect_address', 'listen'].map((key) => valueAt(raw, [section, key]));
    if ((given !== undefined && given !== null && given !== '') || typeof listen !== 'string') continue;
    const read = parseAddress(listen, defaultPort, '');
    const named = read.ok ? read.value.hosts.filter((host) => !isWildcard(host)) : [];
    const host = named.find((one) => !isLoopback(one)) ?? named[0];
    if (!read.ok || host === undefined) continue;
    const text = `${bracketed(host)}:${read.value.port}`;
    result = patchMerge(result, { [section]: { connect_address: text } });
    const mend = 'write the address by which other hosts reach this one';
    findings.push({ path: [section, 'connect_address'], message: `not given; ${text} is used, as of 'listen'`, mend, severity: 'warning' });
  }
  return { raw: result, findings };
}

/** The same for the cluster-wide `postgresql` map. */
export function modernPostgres(raw: JsonObject): { readonly raw: JsonObject } {
  const old = own(raw, 'create_replica_method');
  if (old === undefined) return { raw };
  const rest = removed(raw, ['create_replica_method']);
  return { raw: own(rest, 'create_replica_methods') === undefined ? { ...rest, create_replica_methods: old } : rest };
}

function mendOf(move: Move, value: JsonValue): string {
  if (move.from[0] === 'dcs') return DCS_MEND;
  if (move.to[0] === 'tags') return `write 'tags:' and below it 'replicatefrom: ${typeof value === 'string' ? value : 'MEMBER'}'`;
  return `write it as ${move.to.join('.')}`;
}

/** Without the path, and without the map around it if that is left empty. */
function removed(raw: JsonObject, path: readonly string[]): JsonObject {
  const [key, ...rest] = path;
  const value = own(raw, key!);
  const entries = Object.entries(raw);
  if (rest.length === 0 || !isMapping(value)) return Object.fromEntries(entries.filter(([name]) => name !== key));
  const below = removed(value, rest);
  const gone = Object.keys(below).length === 0 && rest.length === 1 && key === 'replica';
  return Object.fromEntries(
    gone ? entries.filter(([name]) => name !== key) : entries.map(([name, item]) => [name, name === key ? below : item]),
  );
}
