/**
 * JSON without loss of 64-bit integers, and as Python prints it. Members of both kinds compare and
 * rewrite each other's texts. So what is written here must equal Python's `json.dumps` byte for
 * byte: everything outside printable ASCII as \uXXXX, keys in insertion order.
 */

import { RegentError } from './errors.ts';
import type { JsonObject, JsonValue } from './json.ts';

/** Deeper texts are refused, so that reading and printing cannot exhaust the stack. */
const MAX_DEPTH = 256;
/**
 * Converting digits to bigint takes time quadratic in their number; nothing real has more than 20.
 */
const MAX_DIGITS = 64;

const BLANK = /[ \t\r\n]*/y;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const FIRST_PRINTABLE = 0x20;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
/**
 * JSON.parse reads everything else as it is read here, in a tenth of the time. Too short a text
 * cannot be nested too deeply.
 */
const UNUSUAL_NUMBER = /[0-9]{16}|[0-9][eE]|-0/;
/** Printed in double quotes as it stands. */
const PLAIN_TEXT = /^[ !#-[\]-~]*$/;
const WORD = /true|false|null/y;

/**
 * Integers beyond 2^53 become bigint. Throws RegentError JSON_INVALID that names line and column.
 */
export function parseJson(text: string): JsonValue {
  if (text.length <= 2 * MAX_DEPTH && !UNUSUAL_NUMBER.test(text)) {
    try {
      return JSON.parse(text) as JsonValue;
    } catch {
      // The text is read again by code that can say what is wrong with it.
    }
  }
  const reader = new Reader(text);
  const value = reader.value(0);
  reader.end();
  return value;
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): JsonValue {
    if (depth > MAX_DEPTH) throw this.#problem(`nested deeper than ${MAX_DEPTH} levels`);
    this.#take(BLANK);
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case '"':
        return this.#string();
      default:
        return this.#scalar();
    }
  }

  end(): void {
    this.#take(BLANK);
    if (this.#at < this.#text.length) throw this.#problem('something follows the value');
  }

  #object(depth: number): JsonObject {
    const result: JsonObject = {};
    if (this.#opens('}')) return result;
    for (;;) {
      this.#take(BLANK);
      if (this.#text[this.#at] !== '"') throw this.#problem('expected a key in double quotes');
      const key = this.#string();
      this.#expect(':');
      const value = this.value(depth + 1);
      if (key === '__proto__') Object.defineProperty(result, key, { value, enumerable: true, configurable: true, writable: true });
      else result[key] = value;
      if (this.#closes('}')) return result;
    }
  }

  #array(depth: number): JsonValue[] {
    const result: JsonValue[] = [];
    if (this.#opens(']')) return result;
    for (;;) {
      result.push(this.value(depth + 1));
      if (this.#closes(']')) return result;
    }
  }

  /** Consumes the opening bracket; true when the closing one follows at once. */
  #opens(closing: string): boolean {
    this.#at++;
    this.#take(BLANK);
    if (this.#text[this.#at] !== closing) return false;
    this.#at++;
    return true;
  }

  #closes(closing: string): boolean {
    this.#take(BLANK);
    const character = this.#text[this.#at];
    if (character !== ',' && character !== closing) throw this.#problem(`expected ',' or '${closing}'`);
    this.#at++;
    return character === closing;
  }

  #expect(character: string): void {
    this.#take(BLANK);
    if (this.#text[this.#at] !== character) throw this.#problem(`expected '${character}'`);
    this.#at++;
  }

  #string(): string {
    const start = this.#at;
    let at = start + 1;
    let escaped = false;
    for (let unit = this.#text.charCodeAt(at); unit !== QUOTE; unit = this.#text.charCodeAt(at)) {
      // NaN: past the end.
      if (!(unit >= FIRST_PRINTABLE)) throw this.#problem('a string that does not end, or holds a raw control character');
      if (unit === BACKSLASH) escaped = true;
      at += unit === BACKSLASH ? 2 : 1;
    }
    this.#at = at + 1;
    if (!escaped) return this.#text.slice(start + 1, at);
    try {
      return JSON.parse(this.#text.slice(start, at + 1)) as string;
    } catch {
      this.#at = start;
      throw this.#problem('a string with a bad escape');
    }
  }

  #scalar(): JsonValue {
    const word = this.#take(WORD);
    if (word !== null) return word === 'null' ? null : word === 'true';
    const start = this.#at;
    const token = this.#take(NUMBER);
    if (token === null) throw this.#problem('expected a value');
    const number = Number(token);
    if (/^-?[0-9]+$/.test(token)) {
      if (Number.isSafeInteger(number)) return number === 0 ? 0 : number;
      if (token.length <= MAX_DIGITS) return BigInt(token);
    }
    if (Number.isFinite(number) && token.length <= MAX_DIGITS) return number;
    this.#at = start;
    throw this.#problem('a number out of range');
  }

  #take(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return null;
    this.#at += match[0].length;
    return match[0];
  }

  #problem(what: string): RegentError {
    const before = this.#text.slice(0, this.#at).split('\n');
    const place = `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
    const found = this.#at >= this.#text.length ? ' (the text ends here)' : '';
    return new RegentError('JSON_INVALID', `not JSON: ${place}: ${what}${found}`, { mend: 'Send well-formed JSON (RFC 8259).' });
  }
}

/** Python's `json.dumps(value, separators=(',', ':'))`: the form of the keys in etcd. */
export function stringifyCompact(value: JsonValue): string {
  return print(value, ',', ':');
}

/** Python's `json.dumps(value)`: the form of REST bodies. */
export function stringifyDefault(value: JsonValue): string {
  return print(value, ', ', ': ');
}

function print(value: JsonValue, comma: string, colon: string): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : 'null';
  if (value === null || typeof value !== 'object') return String(value);
  if (Array.isArray(value)) return `[${value.map((item) => print(item, comma, colon)).join(comma)}]`;
  let members = '';
  for (const key of Object.keys(value)) {
    if (members !== '') members += comma;
    members += quote(key) + colon + print(value[key]!, comma, colon);
  }
  return `{${members}}`;
}

function quote(text: string): string {
  if (PLAIN_TEXT.test(text)) return `"${text}"`;
  const quoted = JSON.stringify(text);
  return /^[ -~]*$/.test(quoted) ? quoted : quoted.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
