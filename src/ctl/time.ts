/**
 * Times as patronictl prints and reads them: local wall-clock stamps, and what dateutil reads, in
 * the zone that was typed.
 */
import { momentOf, readTypedTime, today } from '../dialect/typed-time.ts';
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

/** Null for an empty text and for `now`. Throws CTL_REFUSED for anything that is no moment. */
export function parseScheduled(text: string | null, nowMs: number): ScheduledTime | null {
  const trimmed = (text ?? '').trim();
  if (trimmed === '' || trimmed.toLowerCase() === 'now') return null;
  const time = readTypedTime(trimmed, today(nowMs));
  if (time === null)
    throw refuse(`Unable to parse scheduled timestamp (${trimmed}). It should be in an unambiguous format (e.g. ISO 8601)`);
  const local = new Date(time.year, time.month - 1, time.day, time.hour, time.minute, time.second);
  return momentOf(time, -local.getTimezoneOffset());
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
