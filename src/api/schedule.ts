/**
 * Times that an operator gives: ISO 8601 and its usual variants. A time without a zone is refused,
 * because it means different moments on different nodes.
 */

export type Schedule =
  | { readonly ok: true; readonly atMs: number; readonly iso: string }
  | { readonly ok: false; readonly status: 400 | 422; readonly message: string };

export interface ZonedTime {
  /** Epoch milliseconds, with a fraction where the text has microseconds. */
  readonly epochMs: number;
  /** Normalized, with the zone as given: `2030-01-01T00:00:00+02:00`. */
  readonly iso: string;
}

const DATE = /^\s*(\d{4})-?(\d{2})-?(\d{2})/;
const TIME = /^(?:[T\s]\s*(\d{1,2})(?::?(\d{2})(?::?(\d{2})(?:[.,](\d{1,9}))?)?)?)?\s*/;
const ZONE = /^(?:(Z|UTC|GMT)|([-+])(\d{2})(?::?(\d{2}))?)\s*$/i;

/** Null: not a moment. 'no zone': one without a zone. */
export function parseZonedTime(text: string): ZonedTime | 'no zone' | null {
  const date = DATE.exec(text);
  if (!date) return null;
  const time = TIME.exec(text.slice(date[0].length));
  if (!time) return null;
  const [year, month, day] = [Number(date[1]), Number(date[2]), Number(date[3])];
  const [hour, minute, second] = [Number(time[1] ?? 0), Number(time[2] ?? 0), Number(time[3] ?? 0)];
  const midnight = Date.UTC(year, month - 1, day);
  if (hour > 23 || minute > 59 || second > 59 || new Date(midnight).toISOString().slice(0, 10) !== `${date[1]}-${date[2]}-${date[3]}`)
    return null;
  const rest = text.slice(date[0].length + time[0].length);
  if (rest === '') return 'no zone';
  const zone = ZONE.exec(rest);
  if (!zone) return null;
  const [zoneHours, zoneMinutes] = [Number(zone[3] ?? 0), Number(zone[4] ?? 0)];
  if (zoneHours > 23 || zoneMinutes > 59) return null;
  const sign = zone[2] === '-' ? -1 : 1;
  const micros = (time[4] ?? '').slice(0, 6).padEnd(6, '0');
  const epochMs =
    midnight + ((hour * 60 + minute) * 60 + second) * 1000 - sign * (zoneHours * 60 + zoneMinutes) * 60_000 + Number(micros) / 1000;
  const clock = [hour, minute, second].map(twoDigits).join(':') + (Number(micros) === 0 ? '' : `.${micros}`);
  const offset = `${sign < 0 ? '-' : '+'}${twoDigits(zoneHours)}:${twoDigits(zoneMinutes)}`;
  return { epochMs, iso: `${date[1]}-${date[2]}-${date[3]}T${clock}${offset}` };
}

/** `nowMs`: epoch milliseconds. The messages are Patroni's, because scripts look for them. */
export function parseSchedule(value: unknown, action: 'restart' | 'switchover', nowMs: number): Schedule {
  const moment = typeof value === 'string' ? parseZonedTime(value) : null;
  if (moment === null) {
    const message = 'Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601';
    return { ok: false, status: 422, message };
  }
  if (moment === 'no zone') return { ok: false, status: 400, message: `Timezone information is mandatory for the scheduled ${action}` };
  if (moment.epochMs < nowMs) return { ok: false, status: 422, message: `Cannot schedule ${action} in the past` };
  return { ok: true, atMs: moment.epochMs, iso: moment.iso };
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
