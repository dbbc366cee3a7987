/** Lays a raw configuration against a schema: what is read, what is wrong, what is unknown. */
import * as z from 'zod';
import type { JsonObject, JsonValue } from '../support/json.ts';
import { about, echoOf, type Registered } from './leaves.ts';
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

/**
 * What nothing dangerous hangs on counts as not given when it cannot be read, and what a new
 * cluster would be made with keeps this node from making one: Patroni starts with either.
 * `dropped`: the paths to leave out.
 */
export function tolerate(shape: Shape, findings: readonly Finding[]): { findings: Finding[]; dropped: readonly (readonly string[])[] } {
  const dropped: (readonly string[])[] = [];
  const judged = findings.map((finding): Finding => {
    const info = infoAt(shape, finding.path);
    if (info?.unreadable === undefined) return finding;
    dropped.push(finding.path);
    const part = finding.path.length > info.depth;
    const instead =
      info.default === undefined || info.default === '' ? 'it counts as not given' : `the default (${shown(info.default)}) is used`;
    const message = `${finding.message}; ${part ? 'it is left out' : instead}`;
    return { ...finding, message, severity: 'warning', ...(info.unreadable === 'no-bootstrap' ? { noBootstrap: true } : {}) };
  });
  return { findings: judged, dropped };
}

const shown = (value: JsonValue) => (Array.isArray(value) ? value.join(', ') : String(value));

/** The leaf at or above a path. */
function infoAt(shape: Shape, path: readonly string[]): (Registered & { readonly depth: number }) | null {
  let level = shape;
  for (const [index, key] of path.entries()) {
    const schema = Object.hasOwn(level, key) ? level[key] : undefined;
    const info = schema && about.get(schema);
    if (!schema || !info) return null;
    if (info.kind !== 'section') return { ...info, depth: index + 1 };
    level = shapeOf(schema);
  }
  return null;
}

/**
 * Sections that are written and hold nothing (`tags: ''`, `watchdog: []`) count as not given, as a
 * null does.
 */
export function dropEmptySections(shape: Shape, raw: JsonObject): { raw: JsonObject; findings: Finding[] } {
  const findings: Finding[] = [];
  const walk = (level: Shape, map: JsonObject, path: readonly string[]): JsonObject =>
    Object.fromEntries(
      Object.entries(map).flatMap(([key, value]): [string, JsonValue][] => {
        const schema = Object.hasOwn(level, key) ? level[key] : undefined;
        if (!schema || about.get(schema)?.kind !== 'section') return [[key, value]];
        const here = [...path, key];
        if (isMapping(value)) return [[key, walk(shapeOf(schema), value, here)]];
        if (value !== '' && !(Array.isArray(value) && value.length === 0)) return [[key, value]];
        const message = `${value === '' ? 'an empty text' : 'an empty list'} where a mapping is meant; it counts as not given`;
        findings.push({ path: here, message, mend: `remove '${key}', or write its settings below, indented`, severity: 'warning' });
        return [];
      }),
    );
  return { raw: walk(shape, raw, []), findings };
}

/** What there is to say of values that can be read. */
export function remarksOn(shape: Shape, raw: JsonObject): Finding[] {
  const findings: Finding[] = [];
  const walk = (level: Shape, map: JsonObject, path: readonly string[]): void => {
    for (const [key, value] of Object.entries(map)) {
      const schema = Object.hasOwn(level, key) ? level[key] : undefined;
      const info = schema && about.get(schema);
      if (!schema || !info) continue;
      if (info.kind === 'section' && isMapping(value)) walk(shapeOf(schema), value, [...path, key]);
      for (const { message, mend, at } of info.remarks?.(value, echoOf(info)) ?? []) {
        findings.push({ path: at === undefined ? [...path, key] : [...path, key, at], message, mend, severity: 'warning' });
      }
    }
  };
  walk(shape, raw, []);
  return findings;
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
        ? `'${key}' belongs ${home === '' ? 'at the top level of the file, without indentation' : `under ${home}`}`
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
