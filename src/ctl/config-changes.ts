/**
 * Changes to the dynamic configuration as typed: `a.b.c=V`. The path below `postgresql.parameters`
 * is the name of one GUC, which may contain dots.
 */

import { isJsonObject } from '../support/big-json.ts';
import type { JsonObject, JsonValue } from '../support/json.ts';
import { refuse } from './errors.ts';
import { yamlValue } from './yaml.ts';

const GUCS = 'postgresql.parameters.';

/**
 * V is YAML. Null removes the key, and every map that becomes empty. Returns a new object. Throws
 * CTL_REFUSED.
 */
export function applyPairs(config: JsonObject, pairs: readonly string[]): JsonObject {
  return pairs.reduce((current, pair) => {
    const at = pair.indexOf('=');
    if (at <= 0) throw refuse(`Invalid parameter setting ${pair}`, 'Write KEY=VALUE.');
    const key = pair.slice(0, at).trim();
    const path = key.startsWith(GUCS) ? ['postgresql', 'parameters', key.slice(GUCS.length)] : key.split('.');
    if (path.some((part) => part === '')) throw refuse(`Invalid parameter setting ${pair}`, 'A part of the dotted key is empty.');
    return withValue(current, path, yamlValue(pair.slice(at + 1)));
  }, config);
}

/** The short form for GUCs. */
export function parameterPairs(pairs: readonly string[]): string[] {
  return pairs.map((pair) => `${GUCS}${pair.trimStart()}`);
}

function withValue(config: JsonObject, path: readonly string[], value: JsonValue): JsonObject {
  const [key, ...rest] = path as [string, ...string[]];
  const old = Object.hasOwn(config, key) ? config[key] : undefined;
  const next = rest.length === 0 ? value : withValue(isJsonObject(old) ? old : {}, rest, value);
  const gone = rest.length === 0 ? next === null : isJsonObject(next) && Object.keys(next).length === 0;
  if (gone) return Object.fromEntries(Object.entries(config).filter(([name]) => name !== key));
  // A key that is there keeps its place.
  const isOld = old !== undefined;
  const entries = Object.entries(config).map(([name, before]) => [name, name === key ? next : before] as const);
  return Object.fromEntries(isOld ? entries : [...entries, [key, next] as const]);
}
