/** Lays a raw configuration against a schema: what is read, what is wrong, what is unknown. */
import * as z from 'zod';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { about } from './leaves.ts';
import { isMapping, own } from './merge.ts';
import type { Places } from './places.ts';
import { type Finding, kindOf } from './problems.ts';
import { localShape, UNSUPPORTED_SECTIONS } from './schema.ts';
import { dynamicShape } from './schema-dynamic.ts';
import { POSTGRES_UNSUPPORTED } from './schema-postgres.ts';
import { nearest } from './suggest.ts';

type Shape = Readonly<Record<string, z.ZodType>>;

export interface Parsed<T> {
  readonly data: T;
  readonly findings: readonly Finding[];
}

/** Reads what can be read; what cannot is left out of `data` and is a finding of severity error. */
export function parseTolerant<S extends z.ZodType<unknown, unknown>>(schema: S, raw: JsonObject): Parsed<z.output<S>> {
  const first = schema.safeParse(raw);
  if (first.success) return { data: first.data, findings: [] };
  const findings = first.error.issues.map((issue) => findingOf(issue, raw));
  const second = schema.safeParse(
    without(
      raw,
      findings.map((finding) => finding.path),
    ),
  );
  if (!second.success) throw second.error;
  return { data: second.data, findings };
}

function findingOf(issue: z.core.$ZodIssue, raw: JsonObject): Finding {
  const path = issue.path.map(String);
  if (issue.code === 'custom') {
    return { path, message: issue.message, mend: typeof issue.params?.mend === 'string' ? issue.params.mend : null, severity: 'error' };
  }
  const found = valueAt(raw, path);
  const last = path.at(-1) ?? 'it';
  return {
    path,
    message: `${kindOf(found)} where a mapping is meant`,
    mend: `write '${last}:' on a line of its own and its settings below, indented`,
    severity: 'error',
  };
}

export function valueAt(raw: JsonObject, path: readonly string[]): JsonValue | undefined {
  let value: JsonValue | undefined = raw;
  for (const key of path) value = isMapping(value) ? own(value, key) : undefined;
  return value;
}

/** A copy without the given paths. */
export function without(raw: JsonObject, paths: readonly (readonly string[])[]): JsonObject {
  const entries = Object.entries(raw).flatMap(([key, value]): [string, JsonValue][] => {
    const below = paths.filter((path) => path[0] === key).map((path) => path.slice(1));
    if (below.some((path) => path.length === 0)) return [];
    return [[key, below.length > 0 ? withoutBelow(value, below) : value]];
  });
  return Object.fromEntries(entries);
}

function withoutBelow(value: JsonValue, paths: readonly (readonly string[])[]): JsonValue {
  if (isMapping(value)) return without(value, paths);
  return Array.isArray(value) ? value.filter((_, index) => !paths.some((path) => path[0] === String(index))) : value;
}

/** Texts as they were written: YAML makes 83 of the password 0123, and true of the name on. */
export function restoreTexts(shape: Shape, raw: JsonObject, places: Places): { raw: JsonObject; findings: Finding[] } {
  const findings: Finding[] = [];
  const walk = (level: Shape, map: JsonObject, path: readonly string[]): JsonObject =>
    Object.fromEntries(
      Object.entries(map).map(([key, value]) => {
        const schema = Object.hasOwn(level, key) ? level[key] : undefined;
        const info = schema && about.get(schema);
        const here = [...path, key];
        if (schema && info?.kind === 'section' && isMapping(value)) return [key, walk(shapeOf(schema), value, here)];
        const source = info?.kind === 'text' && (typeof value === 'number' || typeof value === 'boolean') ? places.source(here) : null;
        if (source === null || source === String(value)) return [key, value];
        findings.push({
          path: here,
          message: `YAML reads this as ${typeof value === 'boolean' ? 'true or false' : 'another number'}; it is taken as written`,
          mend: 'put it in quotes',
          severity: 'warning',
        });
        return [key, source];
      }),
    );
  return { raw: walk(shape, raw, []), findings };
}

function shapeOf(schema: z.ZodType): Shape {
  const inner = schema instanceof z.ZodOptional ? schema.unwrap() : schema;
  return inner instanceof z.ZodObject ? (inner.shape as Shape) : {};
}

/** `allowed` tells which further keys may stand below a path. */
export function unknownKeys(shape: Shape, raw: JsonObject, allowed: (path: readonly string[], key: string) => boolean): Finding[] {
  const findings: Finding[] = [];
  const walk = (level: Shape, map: JsonObject, path: readonly string[]): void => {
    for (const [key, value] of Object.entries(map)) {
      const here = [...path, key];
      const schema = Object.hasOwn(level, key) ? level[key] : undefined;
      if (schema) {
        if (isMapping(value) && about.get(schema)?.kind === 'section') walk(shapeOf(schema), value, here);
      } else if (!allowed(path, key)) {
        findings.push(unknownKey(key, here, Object.keys(level)));
      }
    }
  };
  walk(shape, raw, []);
  return findings;
}

function unknownKey(key: string, path: readonly string[], siblings: readonly string[]): Finding {
  if (isUnsupported(path)) {
    return {
      path,
      message: `'${key}' is not supported yet by this release, ignored`,
      mend: 'remove it, or keep it for Patroni',
      severity: 'warning',
    };
  }
  const home = (HOMES.get(key) ?? []).find((candidate) => candidate !== path.slice(0, -1).join('.'));
  const near = nearest(key, siblings);
  const mend =
    near !== null && near.toLowerCase() === key.toLowerCase()
      ? `did you mean '${near}'?`
      : home !== undefined
        ? `'${key}' belongs under ${home === '' ? 'no section' : home}`
        : near !== null
          ? `did you mean '${near}'?`
          : 'remove it; docs/configuration.md lists all keys';
  return { path, message: `unknown key '${key}'`, mend, severity: 'warning' };
}

function isUnsupported(path: readonly string[]): boolean {
  if (path.length === 1) return UNSUPPORTED_SECTIONS.includes(path[0]!);
  return path.at(-2) === 'postgresql' && POSTGRES_UNSUPPORTED.includes(path.at(-1)!);
}

/** Sections where each known key lives: a key in the wrong section is told the right one. */
const HOMES = homes();

function homes(): ReadonlyMap<string, readonly string[]> {
  const result = new Map<string, string[]>();
  const walk = (level: Shape, path: readonly string[]): void => {
    for (const [key, schema] of Object.entries(level)) {
      // Credentials and TLS keys live in many places: naming one of them would mislead.
      if (['username', 'password', 'certfile', 'keyfile', 'key', 'cert', 'host', 'port', 'cacert'].includes(key)) continue;
      result.set(key, [...(result.get(key) ?? []), path.join('.')]);
      if (about.get(schema)?.kind === 'section') walk(shapeOf(schema), [...path, key]);
    }
  };
  walk(localShape, []);
  const { postgresql: _, ...dynamic } = dynamicShape;
  walk(dynamic, ['bootstrap', 'dcs']);
  return result;
}
