/**
 * What a plain (unquoted) scalar is: a number, a boolean, nothing, or text, exactly as PyYAML's
 * SafeLoader decides, which reads Patroni's files. It knows YAML 1.1 with rules of its own:
 * `1e3`, `._1` and `.` are texts, `1:30` is ninety, `0o17` is text and 017 is fifteen.
 */
import type { ScalarTag } from 'yaml';
import type { JsonValue } from '../support/json.ts';

export type ScalarKind = 'null' | 'bool' | 'int' | 'float' | 'timestamp' | 'text';

/** Every way to write one word: as it is, capitalized, in capitals. */
const spellings = (word: string) => `${word}|${word[0]!.toUpperCase()}${word.slice(1)}|${word.toUpperCase()}`;
const whole = (...choices: string[]) => new RegExp(`^(?:${choices.join('|')})$`);

const SIGN = '[-+]?';
/** Digits in which underscores are passed over, after the first. */
const DIGITS = '[0-9][0-9_]*';
const EXPONENT = '(?:[eE][-+][0-9]+)?';
/** `:30`, `:5`: a part of a number to the base of sixty. */
const SIXTIETHS = '(?::[0-5]?[0-9])+';

const TRUE = ['yes', 'true', 'on'].map(spellings);
const FALSE = ['no', 'false', 'off'].map(spellings);
/** A prefix without digits (`0x_`), at which PyYAML breaks off, is text here. */
const INTEGER = whole(
  `${SIGN}0b_*[01][01_]*`,
  `${SIGN}0x_*[0-9a-fA-F][0-9a-fA-F_]*`,
  `${SIGN}0[0-7_]+`,
  `${SIGN}(?:0|[1-9][0-9_]*)`,
  `${SIGN}[1-9][0-9_]*${SIXTIETHS}`,
);
const REAL = whole(
  `${SIGN}${DIGITS}\\.[0-9_]*${EXPONENT}`,
  `\\.${DIGITS}${EXPONENT}`,
  `${SIGN}${DIGITS}${SIXTIETHS}\\.[0-9_]*`,
  `${SIGN}\\.(?:inf|Inf|INF)`,
  '\\.(?:nan|NaN|NAN)',
);
const CLOCK = '[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\\.[0-9]*)?';
const ZONE = '(?:[ \\t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?';
const TIMESTAMP = whole('[0-9]{4}-[0-9]{2}-[0-9]{2}', `[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \\t]+)${CLOCK}${ZONE}`);

const PATTERNS: Readonly<Record<Exclude<ScalarKind, 'text'>, RegExp>> = {
  null: whole('', '~', spellings('null')),
  bool: whole(...TRUE, ...FALSE),
  float: REAL,
  int: INTEGER,
  timestamp: TIMESTAMP,
};
const KINDS = Object.keys(PATTERNS) as (keyof typeof PATTERNS)[];
const YES = whole(...TRUE);

export function kindOfScalar(text: string): ScalarKind {
  return KINDS.find((kind) => PATTERNS[kind].test(text)) ?? 'text';
}

/**
 * A date stays as it was written, which PostgreSQL reads as it reads Python's form of it. The
 * numbers JSON lacks are named as Python prints them.
 */
export function scalarValue(text: string): JsonValue {
  switch (kindOfScalar(text)) {
    case 'null':
      return null;
    case 'bool':
      return YES.test(text);
    case 'int':
      return integerOf(text);
    case 'float':
      return realOf(text);
    default:
      return text;
  }
}

function integerOf(text: string): number | bigint {
  const { negative, body } = signed(text);
  const magnitude = /^0[bx]/.test(body)
    ? BigInt(body)
    : body.includes(':')
      ? body.split(':').reduce((sum, part) => sum * 60n + BigInt(part), 0n)
      : BigInt(body.length > 1 && body.startsWith('0') ? `0o${body.slice(1)}` : body);
  const value = negative ? -magnitude : magnitude;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function realOf(text: string): JsonValue {
  const { negative, body } = signed(text.toLowerCase());
  if (body === '.nan') return 'nan';
  const parts = body === '.inf' ? [Number.POSITIVE_INFINITY] : body.split(':').map(Number).reverse();
  const magnitude = parts.reduce((sum, part, place) => sum + part * 60 ** place, 0);
  if (!Number.isFinite(magnitude)) return negative ? '-inf' : 'inf';
  return negative ? -magnitude : magnitude;
}

function signed(text: string): { readonly negative: boolean; readonly body: string } {
  const digits = text.replaceAll('_', '');
  return { negative: digits.startsWith('-'), body: digits.replace(/^[-+]/, '') };
}

/**
 * How the YAML library recognizes them: by their looks, and (the second of each kind) by an
 * explicit tag such as `!!float 1`.
 */
export const SCALAR_TAGS: readonly ScalarTag[] = KINDS.flatMap((kind) => {
  const common = { tag: `tag:yaml.org,2002:${kind}`, resolve: scalarValue };
  return [
    { ...common, default: true, test: PATTERNS[kind] },
    { ...common, default: false },
  ];
});
