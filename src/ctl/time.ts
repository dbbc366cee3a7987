/**
 * Times as patronictl prints and reads them: local wall-clock stamps, ISO 8601 with the zone that
 * was typed.
 */
import { refuse } from './errors.ts';

/** `YYYY-MM-DD HH:MM:SS` of the machine's zone, with up to 6 digits of the second's fraction. */
export function localTime(epochMs: number, fractionDigits: number): string {
  const at = new Date(epochMs);
  const day = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join('-');
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':');
  if (fractionDigits === 0) return `${day} ${time}`;
  return `${day} ${time}.${String(at.getMilliseconds()).padStart(3, '0').padEnd(6, '0').slice(0, fractionDigits)}`;
}

/** An example for a prompt: one hour from now, to the minute. */
export function nextHour(epochMs: number): string {
  return localTime(epochMs + 3_600_000, 0)
    .replace(' ', 'T')
    .slice(0, 16);
}

export interface ScheduledTime {
  readonly epochMs: number;
  /**
   * `2030-01-01T00:00:00+00:00`, in the zone that was typed; a time without one is in the machine's
   * zone.
   */
  readonly iso: string;
}

const FORM = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6})\d*)?)?)?\s*(Z|z|UTC|[+-]\d{2}(?::?\d{2})?)?$/;

/** Null for an empty text and for `now`. Throws CTL_REFUSED for anything that is not ISO 8601. */
export function parseScheduled(text: string | null): ScheduledTime | null {
  const trimmed = (text ?? '').trim();
  if (trimmed === '' || trimmed.toLowerCase() === 'now') return null;
  const match = FORM.exec(trimmed);
  const parsed = match && scheduledOf(match);
  if (!parsed) throw refuse(`Unable to parse scheduled timestamp (${trimmed}). It should be in an unambiguous format (e.g. ISO 8601)`);
  return parsed;
}

function scheduledOf(match: RegExpExecArray): ScheduledTime | null {
  const number = (group: number) => Number(match[group] ?? 0);
  const micros = (match[7] ?? '').padEnd(6, '0');
  const parts = [number(1), number(2) - 1, number(3), number(4), number(5), number(6)] as const;
  const asUtc = Date.UTC(...parts, Math.floor(Number(micros) / 1000));
  const check = new Date(asUtc);
  // Date.UTC turns an impossible day, hour or minute into a later one. Such a text is a typing
  // error.
  if (check.getUTCMonth() !== parts[1] || check.getUTCDate() !== parts[2] || check.getUTCHours() !== parts[3]) return null;
  if (check.getUTCMinutes() !== parts[4] || check.getUTCSeconds() !== parts[5]) return null;
  const local = new Date(parts[0], parts[1], parts[2], parts[3], parts[4], parts[5]);
  const offset = match[8] === undefined ? -local.getTimezoneOffset() : offsetMinutes(match[8]);
  const fraction = Number(micros) === 0 ? '' : `.${micros}`;
  return { epochMs: asUtc - offset * 60_000, iso: `${check.toISOString().slice(0, 19)}${fraction}${offsetText(offset)}` };
}

function offsetMinutes(zone: string): number {
  if (!/^[+-]/.test(zone)) return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(3).replace(':', '') || 0);
  return zone.startsWith('-') ? -minutes : minutes;
}

function offsetText(minutes: number): string {
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
