/**
 * Lenient readers of scalars, as Patroni reads booleans and numbers with a unit; PostgreSQL's rules
 * for units included. Rules: docs/dialect.md, "Values"; PostgreSQL's guc.c (convert_to_base_unit).
 */

/** `on/true/yes/1` and `off/false/no/0` in any case; null for anything else. */
export function parseBool(value: unknown): boolean | null {
  const text = String(value).trim().toLowerCase();
  if (['on', 'true', 'yes', '1'].includes(text)) return true;
  if (['off', 'false', 'no', '0'].includes(text)) return false;
  return null;
}

const MEMORY: readonly (readonly [string, number])[] = [
  ['TB', 1024 ** 4],
  ['GB', 1024 ** 3],
  ['MB', 1024 ** 2],
  ['kB', 1024],
  ['B', 1],
];

/** In microseconds. */
const TIME: readonly (readonly [string, number])[] = [
  ['d', 86_400_000_000],
  ['h', 3_600_000_000],
  ['min', 60_000_000],
  ['s', 1_000_000],
  ['ms', 1000],
  ['us', 1],
];

/**
 * A whole number, rounded half to even. `baseUnit` (`kB`, `8kB`, `16MB`, `ms`, `s`, `min` …) is the
 * unit of the result; null when unreadable.
 */
export function parseInteger(value: unknown, baseUnit: string | null = null): number | null {
  const real = parseReal(value, baseUnit);
  if (real === null) return null;
  const rounded = roundHalfEven(real);
  return Number.isSafeInteger(rounded) ? rounded : null;
}

/** As parseInteger, without the rounding. */
export function parseReal(value: unknown, baseUnit: string | null = null): number | null {
  const number = leadingNumber(String(value));
  if (number === null) return null;
  const unit = number.rest.trim();
  if (unit === '') return number.value;
  if (baseUnit === null || /\s$/.test(number.rest)) return null;
  return convertUnit(number.value, unit, baseUnit);
}

/**
 * C's strtol (base 0); strtod where a fraction or an exponent follows. No digit is given back:
 * `17900.0MB` does not begin with 1790.
 */
function leadingNumber(text: string): { value: number; rest: string } | null {
  const integer = /^\s*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)/.exec(text);
  const after = integer === null ? '' : text.slice(integer[0].length);
  if (integer !== null && !/^[.eE]/.test(after)) {
    const digits = integer[2]!;
    const radix = /^0x/i.test(digits) ? 16 : digits.length > 1 && digits.startsWith('0') ? 8 : 10;
    const magnitude = Number.parseInt(radix === 16 ? digits.slice(2) : digits, radix);
    return { value: integer[1] === '-' ? -magnitude : magnitude, rest: after };
  }
  const real = /^\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?/.exec(text);
  if (!real) return null;
  const value = Number(real[0]);
  return Number.isFinite(value) ? { value, rest: text.slice(real[0].length) } : null;
}

function convertUnit(value: number, unit: string, baseUnit: string): number | null {
  const base = /^([0-9]*)([A-Za-z]+)$/.exec(baseUnit);
  if (!base) return null;
  for (const table of [MEMORY, TIME]) {
    const from = table.findIndex(([name]) => name === unit);
    const to = table.find(([name]) => name === base[2]);
    if (from < 0 || to === undefined) continue;
    const baseSize = to[1] * (base[1] === '' ? 1 : Number(base[1]));
    const converted = (value * table[from]![1]) / baseSize;
    const smaller = table[from + 1];
    // PostgreSQL rounds a fraction to whole units of the next smaller kind: 1.1GB is 1126MB, not
    // 1153433kB.
    if (Number.isInteger(value) || smaller === undefined) return converted;
    const step = smaller[1] / baseSize;
    return roundHalfEven(converted / step) * step;
  }
  return null;
}

export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const fraction = value - floor;
  if (fraction < 0.5) return floor;
  if (fraction > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** A GUC as postgresql.conf takes it; null for what no GUC can be (a list, a mapping, nothing). */
export function gucText(value: unknown): string | null {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value === 'string') return value;
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  return null;
}
