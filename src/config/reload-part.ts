/**
 * The part of a changed file that the running agent takes over. Settings that the agent was started
 * on (its names, etcd, the data directory, the address it listens on) stay until it is restarted.
 * So do the settings that would be wrong without them; it takes the rest.
 */

import type { LocalSettings } from '../core/settings.ts';
import type { JsonObject, JsonValue } from '../support/json.ts';
import { isMapping, jsonText, nested, own, patchMerge, valueAt } from './merge.ts';
import { diffLocal, originsOf, type SettingChange } from './reload-diff.ts';

interface Reading {
  readonly local: LocalSettings;
  /** As in LoadResult. */
  readonly raw: JsonObject;
}

export interface Part extends Reading {
  /** Keys that wait for a restart of the agent, as the file has them: `etcd3.hosts`. */
  readonly waiting: readonly string[];
}

/**
 * `build` makes settings of what is left; null: it cannot. Null: nothing can be taken over, `fixed`
 * says why.
 */
export function partOf(
  before: Reading,
  after: Reading,
  build: (raw: JsonObject) => LocalSettings | null,
): Part | { readonly fixed: readonly string[] } {
  const fixed = fixedOf(diffLocal(before.local, after.local));
  if (fixed.length === 0) return { ...after, waiting: [] };
  const section = own(after.raw, 'etcd3') === undefined && own(before.raw, 'etcd3') === undefined ? 'etcd' : 'etcd3';
  const inFile = (path: string) => path.replace(/^etcd(?=\.|$)/, section);
  const changed = (path: string) => !same(valueAt(before.raw, path.split('.')), valueAt(after.raw, path.split('.')));
  const rows = fixed.flatMap(originsOf).filter(({ path }) => changed(inFile(path.join('.'))));
  const waiting = unique(rows.map(({ path }) => inFile(path.join('.'))));
  // Some settings wait with others. The login of a new etcd would end the lease at the present one.
  // The programs of another version would not start the data at hand. At an address where the agent
  // does not listen yet, it would not answer.
  const companions = unique(rows.flatMap(({ holds }) => (holds === undefined ? [] : [inFile(holds)]))).filter(changed);
  // A file that goes from one of the two sections for etcd to the other.
  const renamed = (own(before.raw, 'etcd3') === undefined) !== (own(after.raw, 'etcd3') === undefined);
  const other = renamed && fixed.some((setting) => setting.startsWith('etcd.')) ? ['etcd', 'etcd3'] : [];
  const kept = [...companions, ...waiting, ...other].reduce((raw, path) => restored(raw, path.split('.'), before.raw), after.raw);
  const local = build(kept);
  const left = local === null ? fixed : fixedOf(diffLocal(before.local, local));
  const held = changedKeys(kept, after.raw);
  return local === null || left.length > 0 ? { fixed: held.length > 0 ? held : left } : { local, raw: kept, waiting: held };
}

const unique = (texts: readonly string[]) => [...new Set(texts)];

/** `etcd.endpoints`, `scope` */
function fixedOf(changes: readonly SettingChange[]): string[] {
  return changes.filter(({ need }) => need === 'restart-agent').map(({ section, key }) => (key === '' ? section : `${section}.${key}`));
}

/** With the value, or the absence of one, that `from` has there. */
function restored(raw: JsonObject, path: readonly string[], from: JsonObject): JsonObject {
  if (same(valueAt(raw, path), valueAt(from, path))) return raw;
  // Emptied first: mappings are laid over each other.
  return patchMerge(patchMerge(raw, nested(path, null)), nested(path, valueAt(from, path) ?? null));
}

/** The first two levels at which two readings of the file differ: `postgresql.parameters`. */
export function changedKeys(before: JsonObject, after: JsonObject): string[] {
  return unique([...Object.keys(before), ...Object.keys(after)]).flatMap((key) => {
    const [old, now] = [own(before, key), own(after, key)];
    if (same(old, now)) return [];
    // A section that appears or goes is told of key by key, as one that changes.
    const [was, is] = [old ?? {}, now ?? {}];
    if (!isMapping(was) || !isMapping(is)) return [key];
    return unique([...Object.keys(was), ...Object.keys(is)]).flatMap((below) =>
      same(own(was, below), own(is, below)) ? [] : [`${key}.${below}`],
    );
  });
}

function same(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  return jsonText(a) === jsonText(b);
}
