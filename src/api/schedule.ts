/**
 * When something is to be done, as a request says it. A time without a zone is refused, because it
 * means different moments on different nodes.
 */
import { momentOf, readTypedTime, today } from '../dialect/typed-time.ts';

export type Schedule =
  | { readonly ok: true; readonly atMs: number; readonly iso: string }
  | { readonly ok: false; readonly status: 400 | 422; readonly message: string };

/** `nowMs`: epoch milliseconds. The messages are Patroni's, because scripts look for them. */
export function parseSchedule(value: unknown, action: 'restart' | 'switchover', nowMs: number): Schedule {
  const time = typeof value === 'string' ? readTypedTime(value, today(nowMs)) : null;
  if (time === null) {
    const message = 'Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601';
    return { ok: false, status: 422, message };
  }
  if (time.offsetMinutes === null)
    return { ok: false, status: 400, message: `Timezone information is mandatory for the scheduled ${action}` };
  const { epochMs, iso } = momentOf(time);
  if (epochMs < nowMs) return { ok: false, status: 422, message: `Cannot schedule ${action} in the past` };
  return { ok: true, atMs: epochMs, iso };
}
