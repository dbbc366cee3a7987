/** One line of the log, laid out as Python's logging would (the users' parsers depend on it). */
import { hostname } from 'node:os';
import type { LogLevel, LogSettings } from '../../core/settings.ts';
import type { LogFields } from '../../ports/log.ts';

export type Level = LogLevel;

export const LEVEL_NUMBERS: Readonly<Record<Level, number>> = { DEBUG: 10, INFO: 20, WARNING: 30, ERROR: 40, CRITICAL: 50 };

export interface LogRecord {
  readonly level: Level;
  readonly message: string;
  readonly fields: LogFields;
  /** The part that says it. */
  readonly logger: string;
  readonly at: Date;
}

const two = (value: number) => String(value).padStart(2, '0');
const three = (value: number) => String(value).padStart(3, '0');

/**
 * `YYYY-MM-DD HH:MM:SS,mmm`, local time, or the strftime pattern given (which then has no
 * milliseconds of its own).
 */
export function asctime(at: Date, dateformat: string | null): string {
  return dateformat === null ? `${strftime('%Y-%m-%d %H:%M:%S', at)},${three(at.getMilliseconds())}` : strftime(dateformat, at);
}

function strftime(pattern: string, at: Date): string {
  return pattern.replace(/%([a-zA-Z%])/g, (whole, letter: string) => DATE_PARTS[letter]?.(at) ?? whole);
}

const zone = (at: Date) => {
  const minutes = -at.getTimezoneOffset();
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(Math.abs(minutes) / 60))}${two(Math.abs(minutes) % 60)}`;
};
const named = (at: Date, options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat('en-US', options).format(at);
const dayOfYear = (at: Date) =>
  Math.round((Date.UTC(at.getFullYear(), at.getMonth(), at.getDate()) - Date.UTC(at.getFullYear(), 0, 1)) / 86_400_000) + 1;

const DATE_PARTS: Readonly<Record<string, (at: Date) => string>> = {
  '%': () => '%',
  Y: (at) => String(at.getFullYear()),
  y: (at) => two(at.getFullYear() % 100),
  m: (at) => two(at.getMonth() + 1),
  d: (at) => two(at.getDate()),
  H: (at) => two(at.getHours()),
  I: (at) => two(at.getHours() % 12 || 12),
  M: (at) => two(at.getMinutes()),
  S: (at) => two(at.getSeconds()),
  p: (at) => (at.getHours() < 12 ? 'AM' : 'PM'),
  j: (at) => three(dayOfYear(at)),
  b: (at) => named(at, { month: 'short' }),
  B: (at) => named(at, { month: 'long' }),
  a: (at) => named(at, { weekday: 'short' }),
  A: (at) => named(at, { weekday: 'long' }),
  z: zone,
  F: (at) => strftime('%Y-%m-%d', at),
  T: (at) => strftime('%H:%M:%S', at),
};

/**
 * The attributes of a Python LogRecord that mean something here; the ones about source lines and
 * threads have the values of a single-threaded program.
 */
function attribute(name: string, record: LogRecord, dateformat: string | null): string | number | null {
  switch (name) {
    case 'asctime':
      return asctime(record.at, dateformat);
    case 'levelname':
      return record.level;
    case 'levelno':
      return LEVEL_NUMBERS[record.level];
    case 'message':
      return record.message;
    case 'name':
      return record.logger;
    case 'module':
    case 'processName':
      return 'regent';
    case 'filename':
    case 'pathname':
      return 'regent.js';
    case 'funcName':
      return 'main';
    case 'threadName':
      return 'MainThread';
    case 'process':
    case 'thread':
      return process.pid;
    case 'lineno':
      return 0;
    case 'created':
      return record.at.getTime() / 1000;
    case 'msecs':
      return record.at.getMilliseconds();
    case 'relativeCreated':
      return Math.round(performance.now());
    case 'hostname':
      return hostname();
    default:
      return null;
  }
}

/**
 * Fields are for machines: in the plain form they are shown only where somebody is looking for a
 * cause.
 */
export function formatPlain(record: LogRecord, settings: LogSettings): string {
  const line = settings.format.replace(/%%|%\((\w+)\)([-0]?)(\d*)(?:\.(\d+))?([sdf])/g, (whole, name, flag, width, precision, type) => {
    if (whole === '%%') return '%';
    const value = attribute(name, record, settings.dateformat);
    if (value === null) return whole;
    const text = layOut(value, type, precision === undefined ? null : Number(precision));
    const size = Number(width || 0);
    return flag === '-' ? text.padEnd(size) : text.padStart(size, flag === '0' && type !== 's' ? '0' : ' ');
  });
  const shown = settings.level === 'DEBUG' || LEVEL_NUMBERS[record.level] >= LEVEL_NUMBERS.WARNING;
  const { stack, ...fields } = record.fields;
  return (shown ? line + fieldsAsText(fields) : line) + (typeof stack === 'string' ? `\n${stack}` : '');
}

function layOut(value: string | number, type: string, precision: number | null): string {
  if (type === 'd') return String(Math.trunc(Number(value)));
  if (type === 'f') return Number(value).toFixed(precision ?? 6);
  return precision === null ? String(value) : String(value).slice(0, precision);
}

function fieldsAsText(fields: LogFields): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : stringify(value)}`)
    .join('');
}

/**
 * Named by the format (`%(name)s` or a list of names and `{attribute: output name}` maps in JSON
 * text), then the fields, then the static ones.
 */
export function formatJson(record: LogRecord, settings: LogSettings): string {
  const output: Record<string, unknown> = {};
  for (const [name, key] of jsonColumns(settings.format)) {
    const value = attribute(name, record, settings.dateformat);
    if (value !== null) output[key] = value;
  }
  return stringify({ ...output, ...record.fields, ...settings.staticFields });
}

function jsonColumns(format: string): ReadonlyArray<readonly [string, string]> {
  if (!format.trimStart().startsWith('[')) return [...format.matchAll(/%\((\w+)\)/g)].map((match) => [match[1]!, match[1]!]);
  const items: unknown = JSON.parse(format);
  if (!Array.isArray(items)) return [];
  return items.flatMap((item): Array<[string, string]> => {
    if (typeof item === 'string') return [[item, item]];
    return typeof item === 'object' && item !== null ? Object.entries(item).map(([name, key]) => [name, String(key)]) : [];
  });
}

/** JSON text of anything, never throwing: bigint as text, errors by their message, cycles cut. */
export function stringify(value: unknown): string {
  const seen = new Set<unknown>();
  return (
    JSON.stringify(value, (_key, item: unknown) => {
      if (typeof item === 'bigint') return item.toString();
      if (item instanceof Error) return item.message;
      if (typeof item === 'object' && item !== null) {
        if (seen.has(item)) return '[again]';
        seen.add(item);
      }
      return item;
    }) ?? 'null'
  );
}
