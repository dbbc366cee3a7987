import { expect, test } from 'vitest';
import { parseSchedule } from './schedule.ts';

const NOW = Date.UTC(2029, 0, 1);

test.each([
  ['2030-01-02T03:04:05+00:00', '2030-01-02T03:04:05+00:00', Date.UTC(2030, 0, 2, 3, 4, 5)],
  ['2030-01-02 03:04:05.250000-02:30', '2030-01-02T03:04:05.250000-02:30', Date.UTC(2030, 0, 2, 5, 34, 5, 250)],
  ['Wed Jan  2 03:04:05 UTC 2030', '2030-01-02T03:04:05+00:00', Date.UTC(2030, 0, 2, 3, 4, 5)],
  ['2030-01-02 03+02', '2030-01-02T03:00:00+02:00', Date.UTC(2030, 0, 2, 1)],
  ['2032-02-29T00:00:00+1400', '2032-02-29T00:00:00+14:00', Date.UTC(2032, 1, 28, 10)],
])('%s', (text, iso, atMs) => {
  expect(parseSchedule(text, 'switchover', NOW)).toEqual({ ok: true, atMs, iso });
});

const UNREADABLE = 'Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601';

test.each([
  ['2030-01-02T03:04:05', 400, 'Timezone information is mandatory for the scheduled restart'],
  ['2030-01-02 10:00 CET', 400, 'Timezone information is mandatory for the scheduled restart'],
  ['2030-01-02', 400, 'Timezone information is mandatory for the scheduled restart'],
  ['2010-01-02T03:04:05Z', 422, 'Cannot schedule restart in the past'],
  ['2031-02-29T00:00:00Z', 422, UNREADABLE],
  ['tomorrow', 422, UNREADABLE],
  [12, 422, UNREADABLE],
])('%s is refused', (value, status, message) => {
  expect(parseSchedule(value, 'restart', NOW)).toEqual({ ok: false, status, message });
});
