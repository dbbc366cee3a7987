import fc from 'fast-check';
import { expect, test } from 'vitest';
import { localTime, nextHour, parseScheduled } from './time.ts';

const NOW = Date.UTC(2029, 0, 1);

test.each([
  ['2030-01-01T00:00:00+00:00', '2030-01-01T00:00:00+00:00', '2030-01-01T00:00:00.000Z'],
  ['2030-01-01T12:30Z', '2030-01-01T12:30:00+00:00', '2030-01-01T12:30:00.000Z'],
  ['2030-06-01 12:30:15.5+02:00', '2030-06-01T12:30:15.500000+02:00', '2030-06-01T10:30:15.500Z'],
  ['Jun 1 2030 12:30 UTC', '2030-06-01T12:30:00+00:00', '2030-06-01T12:30:00.000Z'],
  ['2030-06-01T12:30-0330', '2030-06-01T12:30:00-03:30', '2030-06-01T16:00:00.000Z'],
])('%s', (text, iso, instant) => {
  const at = parseScheduled(text, NOW);
  expect(at?.iso).toBe(iso);
  expect(new Date(at?.epochMs ?? 0).toISOString()).toBe(instant);
});

test('nothing and now mean now', () => {
  for (const text of [null, '', 'now', ' NOW ']) expect(parseScheduled(text, NOW)).toBe(null);
});

test.each(['tomorrow', '2030', '2030-02-30T10:00Z', '2030-01-01T25:00Z', '2030-01-01T10:61Z'])('%s is refused', (text) => {
  expect(() => parseScheduled(text, NOW)).toThrow(
    `Unable to parse scheduled timestamp (${text}). It should be in an unambiguous format (e.g. ISO 8601)`,
  );
});

test("a time without a zone is the machine's own", () => {
  fc.assert(
    fc.property(fc.date({ min: new Date(Date.UTC(2020, 0, 1)), max: new Date(Date.UTC(2040, 0, 1)), noInvalidDate: true }), (date) => {
      const text = localTime(date.getTime(), 0);
      const at = parseScheduled(text, NOW);
      // Twice a year a local time names two instants.
      expect(Math.abs(Math.floor(date.getTime() / 1000) * 1000 - (at?.epochMs ?? 0)) % 1_800_000).toBe(0);
      expect(at?.iso.slice(0, 19)).toBe(text.replace(' ', 'T'));
      expect(Date.parse(at?.iso ?? '')).toBe(at?.epochMs);
    }),
  );
});

test('stamps and the example of a prompt', () => {
  expect(localTime(Date.UTC(2026, 0, 1, 0, 0, 0, 7), 5)).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.00700$/);
  expect(nextHour(Date.UTC(2026, 0, 1))).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d$/);
});
