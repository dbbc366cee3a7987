/**
 * The one way in which configurations are laid over each other: files of a directory, the
 * environment, PATCH /config, edit-config.
 */
import type { JsonObject, JsonValue } from '../support/json.ts';

export function isMapping(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A missing key and an inherited one (`__proto__`, `toString`) are the same. */
export function own(map: JsonObject | undefined, key: string): JsonValue | undefined {
  return map !== undefined && Object.hasOwn(map, key) ? map[key] : undefined;
}

export function valueAt(raw: JsonObject, path: readonly string[]): JsonValue | undefined {
  let value: JsonValue | undefined = raw;
  for (const key of path) value = isMapping(value) ? own(value, key) : undefined;
  return value;
}

/** The value with the mappings around it. */
export function nested(path: readonly string[], value: JsonValue): JsonObject {
  return path.reduceRight<JsonValue>((inner, key) => ({ [key]: inner }), value) as JsonObject;
}

/** As JSON, which has no big integers. */
export function jsonText(value: JsonValue | undefined): string {
  return JSON.stringify(value ?? null, (_, item) => (typeof item === 'bigint' ? `${item}` : item));
}

/**
 * `patch` over `target`, which stays as it is: maps merge key by key, null deletes, anything else
 * replaces, unless both have the same text. Returns `target` itself when nothing changes. Nulls
 * inside a newly added map are dropped, so that patching twice is patching once.
 */
export function patchMerge(target: JsonObject, patch: JsonObject): JsonObject {
  const result = new Map(Object.entries(target));
  let changed = false;
  for (const [key, value] of Object.entries(patch)) {
    const old = result.get(key);
    const next = patched(old, value);
    if (next === old) continue;
    changed = true;
    if (next === undefined) result.delete(key);
    else result.set(key, next);
  }
  // fromEntries defines own properties, `__proto__` included, where assignment would not.
  return changed ? Object.fromEntries(result) : target;
}

function patched(old: JsonValue | undefined, value: JsonValue): JsonValue | undefined {
  if (value === null) return undefined;
  if (isMapping(value)) return isMapping(old) ? patchMerge(old, value) : patchMerge({}, value);
  return old !== undefined && old !== null && pythonText(old) === pythonText(value) ? old : value;
}

/** Equality as Patroni judges it: `100` and `"100"` are the same, `true` and `"true"` are not. */
function pythonText(value: JsonValue): string {
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'string') return value;
  if (typeof value === 'object') return jsonText(value);
  return String(value);
}

/** What a program of the user's is called with: a method that makes replicas. */
export const hasCommand = (value: JsonValue | undefined): boolean => isMapping(value) && own(value, 'command') !== undefined;
