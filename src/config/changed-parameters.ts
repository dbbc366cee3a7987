/**
 * The PostgreSQL parameters that a change of the dynamic configuration brings, as text; not those
 * that Regent judges by rules of its own, or ignores.
 */
import { isClusterWide, RECOVERY_GUCS } from '../pgconf/guc-table.ts';
import type { JsonObject } from '../support/json.ts';
import { parseTolerant } from './conform.ts';
import { patchMerge } from './merge.ts';
import { dynamicTable } from './table.ts';

/** Where parameters stand: for all roles, and for one. */
export const PARAMETERS_KEYS = ['parameters', 'parameters_primary', 'parameters_replica', 'parameters_standby_leader'] as const;
type ParametersKey = (typeof PARAMETERS_KEYS)[number];

export function changedParameters(
  after: JsonObject,
  before: JsonObject,
  key: ParametersKey = 'parameters',
): Readonly<Record<string, string>> {
  const old = parametersOf(before, key);
  return Object.fromEntries(
    Object.entries(parametersOf(after, key)).filter(
      ([name, value]) => old[name] !== value && !isClusterWide(name) && !RECOVERY_GUCS.has(name.toLowerCase()),
    ),
  );
}

function parametersOf(raw: JsonObject, key: ParametersKey): Readonly<Record<string, string>> {
  return parseTolerant(dynamicTable, patchMerge({}, raw)).data.postgresql?.[key] ?? {};
}
