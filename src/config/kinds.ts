/**
 * The kinds of setting the table is made of. Each reads a lenient value, says what is wrong when it
 * cannot, and has its JSON schema. Each also knows how to read an environment variable.
 */

import type { BinaryOption, LogLevel } from '../core/settings.ts';
import type { JsonObject, JsonValue } from '../support/json.ts';
import { type LineCheck, lineRemarks } from './access-lines.ts';
import { type Address, parseAddress } from './hostport.ts';
import { isMapping } from './merge.ts';
import { readOptions } from './options.ts';
import { kindOf } from './problems.ts';
import { bad, good, type Read, unlessWrong, type Wrong } from './read.ts';
import { type About, type Setting, type Show, setting } from './setting.ts';
import { gucText, parseBool, parseInteger } from './values.ts';

const TEXT: JsonObject = { type: 'string' };
const FLAG: JsonObject = { type: ['boolean', 'string', 'integer'] };

type Reader<T> = (value: JsonValue, show: Show) => Read<T>;

function scalarText(value: JsonValue): string | null {
  return typeof value === 'string' ? value : gucText(value);
}

/** An empty one counts as not given. `valid` narrows further. */
export function text<const A extends About = Record<never, never>>(
  doc: string,
  about: A = {} as A,
  valid?: (value: string, show: Show) => Read<string>,
): Setting<string, A> {
  const read: Reader<string | undefined> = (value, echo) => {
    const found = scalarText(value);
    if (found === null) return bad(`${echo(value)} where text is meant`, 'write one word or quoted text');
    if (found === '') return good(undefined);
    if (found.includes('\0')) return bad('the text holds a zero byte', 'remove it');
    return valid ? valid(found, echo) : good(found);
  };
  const empty: Wrong = { message: 'an empty text, which counts as not given', mend: 'write a value, or remove the line' };
  return setting(doc, about, { kind: 'text', json: TEXT, envKind: 'text', read, remarks: (value) => (value === '' ? [empty] : []) });
}

/** May be empty, for which undefined is not the same. */
export function looseText<const A extends About = Record<never, never>>(doc: string, about: A = {} as A): Setting<string, A> {
  const read: Reader<string> = (value, echo) => {
    const found = scalarText(value);
    return found === null ? bad(`${echo(value)} where text is meant`, 'write one word or quoted text') : good(found);
  };
  return setting(doc, about, { kind: 'text', json: TEXT, envKind: 'text', read });
}

export function flag<const A extends About>(doc: string, about: A): Setting<boolean, A> {
  const read: Reader<boolean> = (value, echo) => {
    const found = typeof value === 'object' ? null : parseBool(value);
    return found === null ? bad(`${echo(value)} is neither true nor false`, "write 'true' or 'false'") : good(found);
  };
  return setting(doc, about, { kind: 'value', json: FLAG, envKind: 'bool', read });
}

/**
 * As Patroni judges a tag: what is no boolean counts as true, unless it is empty or 0. A text that
 * says no means no, and checks.ts tells.
 */
export function tagFlag<const A extends About>(doc: string, about: A): Setting<boolean, A> {
  const truth = (value: JsonValue): boolean | null => (typeof value === 'object' ? null : parseBool(value));
  return setting(doc, about, {
    kind: 'value',
    json: FLAG,
    envKind: 'bool',
    read: (value) => good(truth(value) ?? isTruthy(value)),
    remarks: (value, echo) =>
      truth(value) !== null || value === null
        ? []
        : [{ message: `${echo(value)} is neither true nor false; it counts as ${isTruthy(value)}`, mend: "write 'true' or 'false'" }],
  });
}

function isTruthy(value: JsonValue): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return value !== null && value !== '' && value !== 0 && value !== false;
}

export interface Range {
  readonly min?: number;
  readonly max?: number;
  /** The number's unit, when the text has one (`30min`). */
  readonly unit?: string;
  /** Example for the mend. */
  readonly example: number | string;
}

export function whole<const A extends About>(doc: string, range: Range, about: A): Setting<number, A> {
  const { min, max, example } = range;
  const json: JsonObject = {
    type: ['integer', 'string'],
    ...(min === undefined ? {} : { minimum: min }),
    ...(max === undefined ? {} : { maximum: max }),
  };
  const read: Reader<number> = (value, echo) => readWhole(value, range, echo, `write a whole number, such as ${example}`);
  return setting(doc, about, { kind: 'value', json, envKind: 'int', read });
}

function readWhole(value: JsonValue, range: Range, echo: Show, write: string): Read<number> {
  const { min, max, unit } = range;
  const found = typeof value === 'object' || typeof value === 'boolean' ? null : parseInteger(value, unit ?? null);
  if (found === null) {
    // A unit Patroni would not read here either: the mend can do the sum.
    const converted = typeof value === 'string' ? (parseInteger(value, 'B') ?? parseInteger(value, 's')) : null;
    return bad(`${echo(value)} is not a whole number`, converted === null ? write : `write ${converted}`);
  }
  if (min !== undefined && found < min) return bad(`${echo(value)} is below the least allowed, ${min}`, `write ${min} or more`);
  if (max !== undefined && found > max) return bad(`${echo(value)} is above the most allowed, ${max}`, `write ${max} or less`);
  return good(found);
}

/**
 * One of a few words, in any case. `words` maps what may be written to what is meant; the first
 * spelling of each meaning is shown.
 */
export function choice<const T, const A extends About>(doc: string, words: Readonly<Record<string, T>>, about: A): Setting<T, A> {
  const spelt = Object.keys(words).filter((word) => !/^\d+$/.test(word));
  const shown = spelt.filter((word, index, all) => all.findIndex((other) => words[other] === words[word]) === index);
  const json: JsonObject = { anyOf: [{ enum: shown }, { type: ['string', 'boolean'] }] };
  const read: Reader<T> = (value, echo) => {
    const key = typeof value === 'object' ? '' : String(value).trim().toLowerCase();
    const word = Object.keys(words).find((candidate) => candidate.toLowerCase() === key);
    return word === undefined ? bad(`${echo(value)} is none of ${shown.join(', ')}`, `write one of them`) : good(words[word]!);
  };
  return setting(doc, about, { kind: 'value', json, envKind: 'text', read });
}

export interface TextsOptions {
  /** One text with commas will do. */
  readonly commas: boolean;
  /** Each is a line of a file, and one of several lines is as many. */
  readonly lines?: boolean;
  /** What is wrong with the form of such a line. */
  readonly check?: LineCheck;
  /** Of a mapping the keys count, as they do for Patroni, which goes through them. */
  readonly keys?: boolean;
  readonly example: string;
}

/** A list of texts. */
export function texts<const A extends About = Record<never, never>>(
  doc: string,
  options: TextsOptions,
  about: A = {} as A,
): Setting<readonly string[], A> {
  const list: JsonObject = { type: 'array', items: { type: 'string' } };
  const write = `write a list: '- ${options.example}'`;
  const read: Reader<readonly string[]> = (value) => {
    const named = options.keys && isMapping(value) ? Object.keys(value) : value;
    const items = options.commas && typeof named === 'string' ? named.split(',').map((item) => item.trim()) : named;
    if (!Array.isArray(items)) return bad(`${kindOf(value)} where a list is meant`, write);
    const result: string[] = [];
    const wrongs: Wrong[] = [];
    for (const [index, item] of items.entries()) {
      const found = item === null ? '' : scalarText(item);
      const at = String(index);
      if (found === null) wrongs.push({ message: `${kindOf(item)} where text is meant`, mend: 'put the line in quotes', at });
      else if (options.lines && !found.includes('\0')) result.push(...linesOf(found));
      else if (/[\0\n\r]/.test(found)) wrongs.push({ message: 'an element of several lines', mend: "begin each line with '- '", at });
      else if (found !== '') result.push(found);
    }
    return unlessWrong<readonly string[]>(result, wrongs);
  };
  const json = options.commas ? { anyOf: [list, { type: 'string' }] } : list;
  return setting(doc, about, { kind: 'value', json, envKind: 'list', read, remarks: (value) => textsRemarks(value, options, write) });
}

const linesOf = (text: string): string[] => text.split(/[\r\n]+/).filter((line) => line.trim() !== '');

function textsRemarks(value: JsonValue, options: TextsOptions, write: string): Wrong[] {
  if (isMapping(value)) {
    const keys = Object.keys(value).join(', ');
    return options.keys ? [{ message: `a mapping where a list is meant; its keys count: ${keys}`, mend: write }] : [];
  }
  const items = Array.isArray(value) ? value : [];
  const remarks = items.flatMap((item, index): Wrong[] => {
    const at = String(index);
    if (item === null) return [{ message: 'an empty element, which is left out', mend: 'remove it', at }];
    const several = options.lines && typeof item === 'string' && /[\r\n]./.test(item);
    return several ? [{ message: 'an element of several lines, each of which counts', mend: "begin each line with '- '", at }] : [];
  });
  if (options.check === undefined) return remarks;
  const lines = items.flatMap((item, index) => linesOf(scalarText(item) ?? '').map((text) => ({ text, at: String(index) })));
  return [...remarks, ...lineRemarks(lines, options.check)];
}

/** Any keys, each with one scalar, as text. */
export function textMap<const A extends About = Record<never, never>>(
  doc: string,
  example: string,
  about: A = {} as A,
  validName?: RegExp,
): Setting<Readonly<Record<string, string>>, A> {
  const read: Reader<Readonly<Record<string, string>>> = (value) => {
    if (!isMapping(value)) return bad(`${kindOf(value)} where a mapping is meant`, `write '${example}' on a line of its own below`);
    const result: [string, string][] = [];
    const wrongs: Wrong[] = [];
    for (const [at, item] of Object.entries(value)) {
      if (item === null) continue;
      // What a block of YAML (`|`, `>`) ends in.
      const found = scalarText(item)?.replace(/[\r\n]+$/, '') ?? null;
      if (validName && !validName.test(at)) {
        wrongs.push({ message: `'${at.slice(0, 80)}' cannot be the name of a parameter`, mend: 'correct or remove it', at });
      } else if (found === null) {
        wrongs.push({
          message: `${kindOf(item)} where a single value is meant`,
          mend: `write '${at}: value'; several as one text with commas`,
          at,
        });
      } else if (/[\0\n\r]/.test(found)) {
        wrongs.push({ message: 'a value of several lines', mend: 'write it on one line', at });
      } else {
        result.push([at, found]);
      }
    }
    return unlessWrong<Readonly<Record<string, string>>>(Object.fromEntries(result), wrongs);
  };
  return setting(doc, about, {
    kind: 'value',
    json: { type: 'object', additionalProperties: { type: ['string', 'number', 'boolean'] } },
    envKind: 'map',
    read,
    remarks: (value) =>
      Object.entries(isMapping(value) ? value : {}).flatMap(([at, item]) =>
        typeof item === 'string' && /[\r\n]$/.test(item)
          ? [{ message: 'a value that ends in a line break, which is left out', mend: "write '|-' or '>-' instead of '|' or '>'", at }]
          : [],
      ),
  });
}

/** Levels by the names of loggers; words only, though Python takes numbers, too. */
export function levelMap<const A extends About = Record<never, never>>(
  doc: string,
  levels: Readonly<Record<string, LogLevel>>,
  about: A = {} as A,
): Setting<Readonly<Record<string, LogLevel>>, A> {
  const read: Reader<Readonly<Record<string, LogLevel>>> = (value) => {
    if (!isMapping(value)) return bad(`${kindOf(value)} where a mapping is meant`, "write 'patroni.ha: DEBUG' on a line of its own below");
    const result: [string, LogLevel][] = [];
    const wrongs: Wrong[] = [];
    for (const [at, item] of Object.entries(value)) {
      if (item === null) continue;
      const level = levels[typeof item === 'object' ? '' : String(item).trim().toUpperCase()];
      if (level !== undefined) result.push([at, level]);
      else wrongs.push({ message: 'not a level', mend: `write one of ${[...new Set(Object.values(levels))].join(', ')}`, at });
    }
    return unlessWrong<Readonly<Record<string, LogLevel>>>(Object.fromEntries(result), wrongs);
  };
  const json = { type: 'object', additionalProperties: { type: 'string' } };
  return setting(doc, about, { kind: 'value', json, envKind: 'map', read });
}

/** Names and values for postgresql.conf. */
export function gucMap<const A extends About = Record<never, never>>(doc: string, about: A = {} as A) {
  return textMap(doc, 'shared_buffers: 256MB', about, /^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*$/);
}

/** Any keys, any values: of custom scripts, of other people's tools. */
export function freeMap<const A extends About = Record<never, never>>(doc: string, about: A = {} as A): Setting<JsonObject, A> {
  const read: Reader<JsonObject> = (value) =>
    isMapping(value) ? good(value) : bad(`${kindOf(value)} where a mapping is meant`, "write 'key: value' lines below, indented");
  return setting(doc, about, { kind: 'value', json: { type: 'object' }, envKind: 'map', read });
}

export function programOptions<const A extends About>(
  doc: string,
  forbidden: readonly string[],
  about: A,
): Setting<readonly BinaryOption[], A> {
  const item: JsonObject = { anyOf: [{ type: 'string' }, { type: 'object', minProperties: 1, maxProperties: 1 }] };
  const json: JsonObject = { anyOf: [{ type: 'array', items: item }, { type: 'object' }] };
  return setting(doc, about, { kind: 'value', json, envKind: 'list', read: (value) => readOptions(value, forbidden) });
}

export interface AddressOptions {
  readonly defaultPort: number | null;
  readonly example: string;
  /** Exactly one host. */
  readonly single: boolean;
  /** Without a host every address is meant. */
  readonly anyHost?: boolean;
}

export function address<const A extends About>(doc: string, options: AddressOptions, about: A): Setting<Address, A> {
  const parse = (found: string) => parseAddress(found, options.defaultPort, options.example, options.anyHost);
  const read: Reader<Address> = (value, echo): Read<Address> => {
    const found = scalarText(value);
    if (found === null) return bad(`${echo(value)} where an address is meant`, `write host:port, such as '${options.example}'`);
    const parsed = parse(found);
    if (!parsed.ok) return bad(`${echo(value)}: ${parsed.wrongs[0].message}`, parsed.wrongs[0].mend);
    if (options.single && parsed.value.hosts.length > 1)
      return bad(`${echo(value)} names several hosts`, `write one, such as '${options.example}'`);
    return parsed;
  };
  const remarks = (value: JsonValue, echo: Show): readonly Wrong[] => {
    const parsed = parse(scalarText(value) ?? '');
    const remark = parsed.ok ? parsed.value.remark : null;
    return remark === null ? [] : [{ ...remark, message: `${echo(value)}: ${remark.message}` }];
  };
  return setting(doc, about, { kind: 'text', json: TEXT, envKind: 'text', read, remarks });
}

/** A list of mappings. */
export function mapList<const A extends About>(doc: string, about: A): Setting<readonly JsonObject[], A> {
  const read: Reader<readonly JsonObject[]> = (value) => {
    if (!Array.isArray(value)) return bad(`${kindOf(value)} where a list of mappings is meant`, "begin each with '- name: value'");
    const wrong = value.find((item) => !isMapping(item));
    if (wrong !== undefined) return bad(`an element is ${kindOf(wrong)}, not a mapping`, "begin each with '- name: value'");
    return good(value as readonly JsonObject[]);
  };
  return setting(doc, about, { kind: 'value', json: { type: 'array', items: { type: 'object' } }, envKind: 'list', read });
}

/** The format of a log's lines: one text, or for JSON a list of field names and `{field: name}`. */
export function logFormat<const A extends About>(doc: string, about: A): Setting<string | readonly JsonValue[], A> {
  const read: Reader<string | readonly JsonValue[]> = (value) => {
    const list = Array.isArray(value) && value.every((item) => typeof item === 'string' || (typeof item === 'object' && item !== null));
    return (typeof value === 'string' && value !== '') || list
      ? good(value as string | readonly JsonValue[])
      : bad('neither a text nor a list of fields', "write '%(asctime)s %(levelname)s: %(message)s'");
  };
  return setting(doc, about, { kind: 'value', json: { anyOf: [{ type: 'string' }, { type: 'array' }] }, envKind: 'format', read });
}
