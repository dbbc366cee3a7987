/**
 * Finds where a member's own file contradicts the cluster's configuration. The file counts, and an
 * operator who edits the cluster's configuration does not see that.
 */
import { isClusterWide } from '../pgconf/guc-table.ts';
import type { JsonObject } from '../support/json.ts';
import { isMapping, jsonText, own } from './merge.ts';
import { type ConfigProblem, placed, show } from './problems.ts';
import { postgresDynamicOnly, postgresLocal } from './table-postgres.ts';
import { gucText } from './values.ts';

/**
 * `source`: the file as the log names it. `raw`: as in LoadResult. `everywhere`: the cluster's
 * configuration.
 */
export function localWins(raw: JsonObject, everywhere: JsonObject, source: string): ConfigProblem[] {
  const [here, there] = [own(raw, 'postgresql'), own(everywhere, 'postgresql')];
  if (!isMapping(here) || !isMapping(there)) return [];
  const found = Object.keys(there).flatMap((key): string[][] => {
    if (Object.hasOwn(postgresLocal, key) || Object.hasOwn(postgresDynamicOnly, key)) return [];
    const [mine, theirs] = [own(here, key), own(there, key)];
    if (mine === undefined || mine === null) return [];
    if (key !== 'parameters' && key !== 'recovery_conf') return jsonText(mine) === jsonText(theirs) ? [] : [[key]];
    return isMapping(mine) && isMapping(theirs) ? overruled(mine, theirs).map((name) => [key, name]) : [];
  });
  return found.map((below) => {
    const path = ['postgresql', ...below];
    const [mine, theirs] = [here, there].map((map) => below.reduce<unknown>((value, key) => inAnyCase(value, key), map));
    const message = `${show(mine, path)} of this member's own configuration counts, and not ${show(theirs, path)} of the cluster's`;
    const mend = `remove it from ${source} for the cluster's to count`;
    return placed({ path, message, mend, severity: 'warning' }, { file: '', line: null, column: null });
  });
}

function inAnyCase(map: unknown, name: string): unknown {
  return isMapping(map) ? Object.entries(map).find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1] : undefined;
}

/** Names in any case; of what must be the same everywhere the cluster's counts. */
function overruled(mine: JsonObject, theirs: JsonObject): string[] {
  const values = new Map(Object.entries(mine).map(([name, value]) => [name.toLowerCase(), value]));
  return Object.entries(theirs).flatMap(([name, value]) => {
    const other = values.get(name.toLowerCase());
    const same = other === undefined || other === null || (gucText(other) ?? jsonText(other)) === (gucText(value) ?? jsonText(value));
    return same || isClusterWide(name) || name.toLowerCase() === 'synchronous_standby_names' ? [] : [name];
  });
}
