/**
 * The kinds of setting a schema is made of. Each knows how to read a lenient value, what to say when it cannot, and its JSON schema.
 * Every leaf and section is registered with its description, which the JSON schema and the check for unknown keys share.
 */
import * as z from 'zod';
import type { JsonObject, JsonValue } from '../core/json.ts';
import type { BinaryOption } from '../core/settings.ts';
import { type Address, parseAddress } from './hostport.ts';
import { isMapping } from './merge.ts';
import { readOptions } from './options.ts';
import { kindOf, show } from './problems.ts';
import { bad, good, type Read, unlessWrong, type Wrong } from './read.ts';
import { gucText, parseBool, parseInteger } from './values.ts';

export interface About {
  readonly doc: string;
  readonly default?: JsonValue;
  /** The value is never echoed. */
  readonly secret?: true;
}

export interface Registered extends About {
  /** text: a scalar counts as written, not as YAML understood it. section: known keys below. */
  readonly kind: 'text' | 'value' | 'section';
  readonly json: JsonObject;
}

export const about = z.registry<Registered>();

type Show = (value: JsonValue) => string;
type Reader<T> = (value: JsonValue, show: Show) => Read<T>;

function leaf<T>(kind: Registered['kind'], json: JsonObject, info: About, read: Reader<T>) {
  const echo: Show = (value) => show(value, info.secret ? ['password'] : []);
  return z
    .any()
    .transform((value: JsonValue, context): T => {
      const result = read(value, echo);
      if (result.ok) return result.value;
      for (const { message, mend, at } of result.wrongs) {
        context.addIssue({ code: 'custom', message, params: { mend }, path: at === undefined ? [] : [at], input: value });
      }
      return z.NEVER;
    })
    .optional()
    .register(about, { ...info, kind, json });
}

/** A mapping with known keys. Unknown ones pass; `unknown keys` reports them. */
export function section<T extends z.ZodRawShape>(info: About, shape: T) {
  return z
    .looseObject(shape)
    .optional()
    .register(about, { ...info, kind: 'section', json: {} });
}

function scalarText(value: JsonValue): string | null {
  return typeof value === 'string' ? value : gucText(value);
}

/** Not empty. `valid` narrows further. */
export function text(info: About, valid?: (value: string, show: Show) => Read<string>) {
  return leaf('text', { type: 'string' }, info, (value, echo) => {
    const found = scalarText(value);
    if (found === null) return bad(`${echo(value)} where text is meant`, 'write one word or quoted text');
    if (found === '') return bad('an empty text', 'write a value, or remove the line for the default');
    if (found.includes('\0')) return bad('the text holds a zero byte', 'remove it');
    return valid ? valid(found, echo) : good(found);
  });
}

/** May be empty, for which undefined is not the same. */
export function looseText(info: About) {
  return leaf('text', { type: 'string' }, info, (value, echo) => {
    const found = scalarText(value);
    return found === null ? bad(`${echo(value)} where text is meant`, 'write one word or quoted text') : good(found);
  });
}

export function flag(info: About) {
  return leaf('value', { type: ['boolean', 'string', 'integer'] }, info, (value, echo) => {
    const found = typeof value === 'object' ? null : parseBool(value);
    return found === null ? bad(`${echo(value)} is neither true nor false`, "write 'true' or 'false'") : good(found);
  });
}

export interface Range {
  readonly min?: number;
  readonly max?: number;
  /** Unit of the number, for a text with a unit (`30min`). */
  readonly unit?: string;
  /** Example for the mend. */
  readonly example: number | string;
}

export function whole(info: About, range: Range) {
  const { min, max, example } = range;
  const json: JsonObject = {
    type: ['integer', 'string'],
    ...(min === undefined ? {} : { minimum: min }),
    ...(max === undefined ? {} : { maximum: max }),
  };
  return leaf('value', json, info, (value, echo) => readWhole(value, range, echo, `write a whole number, such as ${example}`));
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

/** One of a few words, in any case. `words` maps what may be written to what is meant; the first spelling of each meaning is shown. */
export function choice<T>(info: About, words: Readonly<Record<string, T>>) {
  const spelt = Object.keys(words).filter((word) => !/^\d+$/.test(word));
  const shown = spelt.filter((word, index, all) => all.findIndex((other) => words[other] === words[word]) === index);
  const json: JsonObject = { anyOf: [{ enum: shown }, { type: ['string', 'boolean'] }] };
  return leaf('value', json, info, (value, echo) => {
    const key = typeof value === 'object' ? '' : String(value).trim().toLowerCase();
    const word = Object.keys(words).find((candidate) => candidate.toLowerCase() === key);
    return word === undefined ? bad(`${echo(value)} is none of ${shown.join(', ')}`, `write one of them`) : good(words[word]!);
  });
}

/** A list of texts. `commas`: one text with commas will do. */
export function texts(info: About, options: { readonly commas: boolean; readonly example: string }) {
  const list: JsonObject = { type: 'array', items: { type: 'string' } };
  return leaf('value', options.commas ? { anyOf: [list, { type: 'string' }] } : list, info, (value) => {
    const write = `write a list: '- ${options.example}'`;
    const items = options.commas && typeof value === 'string' ? value.split(',').map((item) => item.trim()) : value;
    if (!Array.isArray(items)) return bad(`${kindOf(value)} where a list is meant`, write);
    const result: string[] = [];
    const wrongs: Wrong[] = [];
    for (const [index, item] of items.entries()) {
      const found = scalarText(item);
      const at = String(index);
      if (found === null) wrongs.push({ message: `${kindOf(item)} where text is meant`, mend: 'put the line in quotes', at });
      else if (/[\0\n\r]/.test(found)) wrongs.push({ message: 'an element of several lines', mend: "begin each line with '- '", at });
      else if (found !== '') result.push(found);
    }
    return unlessWrong<readonly string[]>(result, wrongs);
  });
}

/** Any keys, each with one scalar, as text. */
export function textMap(info: About, example: string, validName?: RegExp) {
  return leaf('value', { type: 'object', additionalProperties: { type: ['string', 'number', 'boolean'] } }, info, (value) => {
    if (!isMapping(value)) return bad(`${kindOf(value)} where a mapping is meant`, `write '${example}' on a line of its own below`);
    const result: [string, string][] = [];
    const wrongs: Wrong[] = [];
    for (const [at, item] of Object.entries(value)) {
      if (item === null) continue;
      const found = scalarText(item);
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
  });
}

/** Names and values for postgresql.conf. */
export function gucMap(info: About) {
  return textMap(info, 'shared_buffers: 256MB', /^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*$/);
}

/** Any keys, any values: of custom scripts, of other people's tools. */
export function freeMap(info: About) {
  return leaf('value', { type: 'object' }, info, (value) =>
    isMapping(value) ? good(value) : bad(`${kindOf(value)} where a mapping is meant`, "write 'key: value' lines below, indented"),
  );
}

export function programOptions(info: About, forbidden: readonly string[]) {
  const item: JsonObject = { anyOf: [{ type: 'string' }, { type: 'object', minProperties: 1, maxProperties: 1 }] };
  return leaf(
    'value',
    { anyOf: [{ type: 'array', items: item }, { type: 'object' }] },
    info,
    (value) => readOptions(value, forbidden) as Read<readonly BinaryOption[]>,
  );
}

/** single: exactly one host. */
export function address(info: About, options: { readonly defaultPort: number | null; readonly example: string; readonly single: boolean }) {
  return leaf('text', { type: 'string' }, info, (value, echo): Read<Address> => {
    const found = scalarText(value);
    if (found === null) return bad(`${echo(value)} where an address is meant`, `write host:port, such as '${options.example}'`);
    const read = parseAddress(found, options.defaultPort, options.example);
    if (!read.ok) return bad(`${echo(value)}: ${read.wrongs[0].message}`, read.wrongs[0].mend);
    if (options.single && read.value.hosts.length > 1)
      return bad(`${echo(value)} names several hosts`, `write one, such as '${options.example}'`);
    return read;
  });
}

/** A list of mappings. */
export function mapList(info: About) {
  return leaf('value', { type: 'array', items: { type: 'object' } }, info, (value) => {
    if (!Array.isArray(value)) return bad(`${kindOf(value)} where a list of mappings is meant`, "begin each with '- name: value'");
    const wrong = value.find((item) => !isMapping(item));
    if (wrong !== undefined) return bad(`an element is ${kindOf(wrong)}, not a mapping`, "begin each with '- name: value'");
    return good(value as readonly JsonObject[]);
  });
}
