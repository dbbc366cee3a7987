/**
 * `slots` and `ignore_slots`, with all the short forms that Patroni takes. What is wrong is left
 * out with a warning: a cluster must not lose its other slots by it.
 */
import type { DynamicSettings, PermanentSlot } from '../core/settings.ts';
import type { JsonObject, JsonValue } from '../support/json.ts';
import { isMapping, nested, own, patchMerge, valueAt } from './merge.ts';
import type { Finding } from './problems.ts';

const NAMES = ['slots', 'permanent_slots', 'permanent_replication_slots'] as const;
const EXAMPLE = "write '{type: physical}' or '{type: logical, database: DB, plugin: pgoutput}'";

/**
 * `name: null` is a physical slot, so a null here is a value, where a null elsewhere is none.
 * `merged`: `raw` without nulls.
 */
export function withShortSlots(merged: JsonObject, raw: JsonObject): JsonObject {
  const short = NAMES.flatMap((name) => {
    const given = own(raw, name);
    const empty = isMapping(given) ? Object.entries(given).filter(([, spec]) => spec === null) : [];
    return empty.length === 0 ? [] : [[name, Object.fromEntries([...Object.entries(own(merged, name) as JsonObject), ...empty])] as const];
  });
  return short.length === 0 ? merged : Object.fromEntries([...Object.entries(merged), ...short]);
}

/**
 * `name:` without a value in a node's file, written out. It would be lost where files are laid over
 * each other, and there it removes only what an `earlier` file names.
 */
export function withNamedSlots(raw: JsonObject, earlier: JsonObject): JsonObject {
  let result = raw;
  for (const setting of NAMES) {
    const path = ['bootstrap', 'dcs', setting];
    const given = valueAt(raw, path);
    for (const [name, spec] of isMapping(given) ? Object.entries(given) : [])
      if (spec === null && valueAt(earlier, [...path, name]) === undefined)
        result = patchMerge(result, nested([...path, name], { type: 'physical' }));
  }
  return result;
}

/** The permanent slots of this type of cluster; a standby cluster has no logical ones. */
export function readSlots(
  raw: JsonObject | undefined,
  standbyCluster: boolean,
): Pick<DynamicSettings, 'slots' | 'slotsElsewhere'> & { readonly findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const slots: [string, PermanentSlot][] = [];
  const elsewhere: [string, PermanentSlot][] = [];
  for (const [name, spec] of Object.entries(raw ?? {})) {
    const slot = readSlot(name, spec);
    for (const { message, mend } of slot.wrong) findings.push({ path: ['slots', name], message, mend, severity: 'warning' });
    const here = slot.clusterType === null || (slot.clusterType === 'standby') === standbyCluster;
    if (slot.spec === null) continue;
    const isLost = slot.spec.type === 'logical' && standbyCluster;
    (here && !isLost ? slots : elsewhere).push([name, slot.spec]);
    if (isLost) findings.push({ path: ['slots', name], ...LOST, severity: 'warning' });
  }
  return { slots: Object.fromEntries(slots), slotsElsewhere: Object.fromEntries(elsewhere), findings };
}

const LOST = {
  message:
    'a standby cluster keeps no logical slots; its promotion creates this one again, and the consumer misses what was written before',
  mend: 'let the consumer read from the server that this cluster follows',
};

interface ReadSlot {
  /** Null: it is ignored. */
  readonly spec: PermanentSlot | null;
  readonly clusterType: 'primary' | 'standby' | null;
  readonly wrong: readonly { readonly message: string; readonly mend: string }[];
}

const refused = (message: string, mend: string): ReadSlot => ({
  spec: null,
  clusterType: null,
  wrong: [{ message: `${message}; it is ignored`, mend }],
});

/** 0, null, an empty text and the like: Patroni takes them for the shortest form. */
const isEmpty = (spec: JsonValue) => !spec || spec === 0n || (typeof spec === 'object' && Object.keys(spec).length === 0);

function readSlot(name: string, spec: JsonValue): ReadSlot {
  if (!/^[a-z0-9_]{1,63}$/.test(name)) return refused('not the name of a slot', 'use up to 63 lower-case letters, digits and underscores');
  if (isEmpty(spec)) return { spec: { type: 'physical' }, clusterType: null, wrong: [] };
  if (!isMapping(spec)) return refused('not a mapping', EXAMPLE);
  const [database, plugin, given] = [own(spec, 'database'), own(spec, 'plugin'), own(spec, 'type') ?? null];
  const type = given ?? (database && plugin ? 'logical' : 'physical');
  if (type === 'physical') {
    const clusterType = own(spec, 'cluster_type') ?? null;
    if (clusterType !== null && clusterType !== 'primary' && clusterType !== 'standby')
      return refused('its cluster_type is neither primary nor standby', "write 'cluster_type: primary'");
    return { spec: { type }, clusterType, wrong: unusedMistake(spec) };
  }
  if (type !== 'logical') return refused('its type is neither physical nor logical', "write 'type: physical'");
  if (typeof database !== 'string' || typeof plugin !== 'string' || database === '' || plugin === '')
    return refused('a logical slot without a database or plugin', "write '{type: logical, database: DB, plugin: pgoutput}'");
  const wrong = Object.hasOwn(spec, 'cluster_type')
    ? [{ message: 'cluster_type counts for physical slots only; it is ignored', mend: 'remove it' }]
    : [];
  return { spec: { type, database, plugin }, clusterType: null, wrong };
}

/** Half a logical slot is a physical one, and hardly meant so. */
function unusedMistake(spec: JsonObject): ReadSlot['wrong'] {
  const unused = ['database', 'plugin'].filter((key) => own(spec, key));
  if (unused.length === 0) return [];
  return [{ message: `a physical slot has no ${unused.join(' and no ')}; it is made as a physical one`, mend: EXAMPLE }];
}

/** PostgreSQL makes none without it, and does not start where wal_level was lowered beside one. */
export function walLevelFindings(
  slots: Readonly<Record<string, PermanentSlot>>,
  parameters: Readonly<Record<string, string>>,
): readonly Finding[] {
  if (parameters['wal_level'] === 'logical') return [];
  return Object.entries(slots)
    .filter(([, { type }]) => type === 'logical')
    .map(([name]) => ({
      path: ['slots', name],
      message: 'a logical slot needs wal_level logical',
      mend: "set 'wal_level: logical' in postgresql.parameters and restart the members",
      severity: 'warning',
    }));
}

const MATCHED: ReadonlySet<string> = new Set(['name', 'type', 'database', 'plugin']);

/** An entry matches by its given keys alone: without any, it matches every slot. */
export function ignoreFindings(matchers: readonly JsonObject[]): readonly Finding[] {
  return matchers.flatMap((matcher, i) => {
    const path = ['ignore_slots', String(i)];
    const unknown = Object.keys(matcher).filter((key) => !MATCHED.has(key));
    const mend = 'write one or more of name, type, database and plugin';
    const findings: Finding[] = unknown.map((key) => ({
      path: [...path, key],
      message: `unknown key '${key}'; it is ignored`,
      mend,
      severity: 'warning',
    }));
    if (Object.entries(matcher).every(([key, value]) => !MATCHED.has(key) || !value)) {
      findings.push({ path, message: 'it names nothing, so every slot is left alone', mend, severity: 'warning' });
    }
    return findings;
  });
}
