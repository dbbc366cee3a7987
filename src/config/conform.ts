/**
 * Lays a raw configuration against the table of settings: what is read, what is wrong, what is
 * unknown.
 */
import type { JsonObject, JsonValue } from '../support/json.ts';
import { isMapping, own } from './merge.ts';
import type { Places } from './places.ts';
import { type Finding, kindOf } from './problems.ts';
import type { Wrong } from './read.ts';
import { type Entry, eachSetting, type Parsed, type Setting, type Shape } from './setting.ts';
import { nearest } from './suggest.ts';
import { dynamicTable, localTable, UNSUPPORTED_SECTIONS } from './table.ts';

type Path = readonly string[];

export interface Laid<T> {
  readonly data: T;
  readonly findings: readonly Finding[];
}

/** Reads what can be read; what cannot is left out of `data` and is a finding of severity error. */
export function parseTolerant<S extends Shape>(shape: S, raw: JsonObject): Laid<Parsed<S>> {
  const findings: Finding[] = [];
  return { data: readShape(shape, raw, [], findings) as Parsed<S>, findings };
}

function readShape(shape: Shape, raw: JsonObject, path: Path, findings: Finding[]): Readonly<Record<string, unknown>> {
  const values = Object.entries(shape).flatMap(([key, entry]): [string, unknown][] => {
    const value = own(raw, key);
    return value === undefined ? [] : [[key, readEntry(entry, value, [...path, key], findings)]];
  });
  return Object.fromEntries(values);
}

function readEntry(entry: Entry, value: JsonValue, path: Path, findings: Finding[]): unknown {
  if (entry.kind !== 'section') return readSetting(entry, value, path, findings);
  if (isMapping(value)) {
    const known = readShape(entry.keys, value, path, findings);
    return entry.about.open ? { ...value, ...known } : known;
  }
  const mend = `write '${path.at(-1)}:' on a line of its own and its settings below, indented`;
  findings.push({ path, message: `${kindOf(value)} where a mapping is meant`, mend, severity: 'error' });
  return undefined;
}

/** Of a list or a mapping in which parts are wrong the rest counts. */
function readSetting(row: Setting, value: JsonValue, path: Path, findings: Finding[]): unknown {
  const read = row.read(value);
  if (read.ok) return read.value;
  findings.push(...read.wrongs.map((wrong) => findingOf(wrong, path, 'error')));
  const parts = read.wrongs.flatMap(({ at }) => (at === undefined ? [] : [[at]]));
  if (parts.length < read.wrongs.length) return undefined;
  const rest = row.read(withoutBelow(value, parts));
  return rest.ok ? rest.value : undefined;
}

function findingOf({ message, mend, at }: Wrong, path: Path, severity: Finding['severity']): Finding {
  return { path: at === undefined ? path : [...path, at], message, mend, severity };
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
 * A value that cannot be read counts as not given, if nothing dangerous depends on it. If a new
 * cluster would be made with it, this node makes none. Patroni starts with either. `dropped`: the
 * paths to leave out.
 */
export function tolerate(shape: Shape, findings: readonly Finding[]): { findings: Finding[]; dropped: readonly Path[] } {
  const dropped: Path[] = [];
  const judged = findings.map((finding): Finding => {
    const found = settingAt(shape, finding.path);
    const unreadable = found?.row.about.unreadable;
    if (found === null || unreadable === undefined) return finding;
    dropped.push(finding.path);
    const word = defaultWord(found.row);
    const part = finding.path.length > found.depth;
    const instead = part ? 'it is left out' : word === '' ? 'it counts as not given' : `the default (${word}) is used`;
    const message = `${finding.message}; ${instead}`;
    return { ...finding, message, severity: 'warning', ...(unreadable === 'no-bootstrap' ? { noBootstrap: true } : {}) };
  });
  return { findings: judged, dropped };
}

/** The default as a message says it; '' where there is none, or an empty one. */
function defaultWord({ about }: Setting): string {
  const value = about.default ?? about.defaultIs ?? '';
  if (isMapping(value)) return Object.keys(value).join(', ');
  return Array.isArray(value) ? value.join(', ') : String(value);
}

/** The setting at or above a path. */
function settingAt(shape: Shape, path: Path): { readonly row: Setting; readonly depth: number } | null {
  let level = shape;
  for (const [index, key] of path.entries()) {
    const entry = entryOf(level, key);
    if (entry === undefined) return null;
    if (entry.kind !== 'section') return { row: entry, depth: index + 1 };
    level = entry.keys;
  }
  return null;
}

function entryOf(shape: Shape, key: string): Entry | undefined {
  return Object.hasOwn(shape, key) ? shape[key] : undefined;
}

/**
 * A copy in which `change` has had its say on every known key: the value it returns counts instead;
 * undefined leaves the key out. What is unknown stays.
 */
function mapKnown(
  shape: Shape,
  raw: JsonObject,
  change: (entry: Entry, value: JsonValue, path: Path) => JsonValue | undefined,
): JsonObject {
  const walk = (level: Shape, map: JsonObject, path: Path): JsonObject =>
    Object.fromEntries(
      Object.entries(map).flatMap(([key, value]): [string, JsonValue][] => {
        const entry = entryOf(level, key);
        const here = [...path, key];
        if (entry === undefined) return [[key, value]];
        if (entry.kind === 'section' && isMapping(value)) return [[key, walk(entry.keys, value, here)]];
        const changed = change(entry, value, here);
        return changed === undefined ? [] : [[key, changed]];
      }),
    );
  return walk(shape, raw, []);
}

/**
 * Sections that are written and hold nothing (`tags: ''`, `watchdog: []`) count as not given, as a
 * null does.
 */
export function dropEmptySections(shape: Shape, raw: JsonObject): { raw: JsonObject; findings: Finding[] } {
  const findings: Finding[] = [];
  const kept = mapKnown(shape, raw, (entry, value, path) => {
    if (entry.kind !== 'section' || (value !== '' && !(Array.isArray(value) && value.length === 0))) return value;
    const message = `${value === '' ? 'an empty text' : 'an empty list'} where a mapping is meant; it counts as not given`;
    findings.push({ path, message, mend: `remove '${path.at(-1)}', or write its settings below, indented`, severity: 'warning' });
    return undefined;
  });
  return { raw: kept, findings };
}

/** Findings about values that can be read. */
export function remarksOn(shape: Shape, raw: JsonObject): Finding[] {
  const findings: Finding[] = [];
  mapKnown(shape, raw, (entry, value, path) => {
    if (entry.kind !== 'section') findings.push(...entry.remarks(value).map((remark) => findingOf(remark, path, 'warning')));
    return value;
  });
  return findings;
}

/** Texts as they were written: YAML makes 83 of the password 0123, and true of the name on. */
export function restoreTexts(shape: Shape, raw: JsonObject, places: Places): { raw: JsonObject; findings: Finding[] } {
  const findings: Finding[] = [];
  const restored = mapKnown(shape, raw, (entry, value, path) => {
    const source = entry.kind === 'text' && (typeof value === 'number' || typeof value === 'boolean') ? places.source(path) : null;
    if (source === null || source === String(value)) return value;
    findings.push({
      path,
      message: `YAML reads this as ${typeof value === 'boolean' ? 'true or false' : 'another number'}; it is taken as written`,
      mend: 'put it in quotes',
      severity: 'warning',
    });
    return source;
  });
  return { raw: restored, findings };
}

/** `allowed` tells which further keys may stand below a path. */
export function unknownKeys(shape: Shape, raw: JsonObject, allowed: (path: Path, key: string) => boolean): Finding[] {
  const findings: Finding[] = [];
  const walk = (level: Shape, map: JsonObject, path: Path): void => {
    for (const [key, value] of Object.entries(map)) {
      const here = [...path, key];
      const entry = entryOf(level, key);
      if (entry === undefined) {
        if (!allowed(path, key)) findings.push(unknownKey(key, here, Object.keys(level)));
      } else if (entry.kind === 'section' && !entry.about.open && isMapping(value)) walk(entry.keys, value, here);
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
  return path.length === 1 && UNSUPPORTED_SECTIONS.includes(path[0]!);
}

/** Credentials and TLS keys live in many places: naming one of them would mislead. */
const EVERYWHERE = new Set(['username', 'password', 'certfile', 'keyfile', 'key', 'cert', 'host', 'port', 'cacert']);

/** Sections where each known key lives: a key in the wrong section is told the right one. */
const HOMES = homes();

function homes(): ReadonlyMap<string, readonly string[]> {
  const result = new Map<string, string[]>();
  const add = (key: string, section: Path) => {
    if (!EVERYWHERE.has(key)) result.set(key, [...(result.get(key) ?? []), section.join('.')]);
  };
  const walk = (shape: Shape, path: Path): void => {
    for (const [key, entry] of Object.entries(shape)) {
      add(key, path);
      if (entry.kind === 'section') walk(entry.keys, [...path, key]);
    }
  };
  walk(localTable, []);
  const { postgresql: _, ...dynamic } = dynamicTable;
  walk(dynamic, ['bootstrap', 'dcs']);
  return result;
}

/** Every word that names a setting: what a log must keep readable, whatever the passwords are. */
export function configKeyNames(): ReadonlySet<string> {
  const names = new Set<string>(['dcs']);
  for (const table of [localTable, dynamicTable]) eachSetting(table, (path) => path.map((key) => names.add(key)));
  return names;
}
