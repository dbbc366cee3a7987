import fc from 'fast-check';
import { expect, test } from 'vitest';
import { momentOf, readTypedTime } from './typed-time.ts';

const TODAY = { year: 2026, month: 11, day: 30 };

/** What dateutil 2.8.2 makes of the text on 2026-11-30; without a zone where it finds none. */
const READ: readonly (readonly [string, string])[] = [
  ['2030-01-01T10:00', '2030-01-01T10:00:00'],
  ['2030-01-01 10:00:00+01', '2030-01-01T10:00:00+01:00'],
  ['Jan 1 2030 10:00 UTC', '2030-01-01T10:00:00+00:00'],
  ['1 Jan 2030 10:00 UTC', '2030-01-01T10:00:00+00:00'],
  ['1st January 2030 10:00 UTC', '2030-01-01T10:00:00+00:00'],
  ['January 1, 2030 10:00 AM +0100', '2030-01-01T10:00:00+01:00'],
  ['Jan 1, 2030, 10:00 UTC', '2030-01-01T10:00:00+00:00'],
  ['Sept 3 2030 10:00Z', '2030-09-03T10:00:00+00:00'],
  ['Tue Jan  1 10:00:00 UTC 2030', '2030-01-01T10:00:00+00:00'],
  ['Tue, 01 Jan 2030 10:00:00 +0000', '2030-01-01T10:00:00+00:00'],
  ['Tuesday, January 1, 2030 10:00:00 AM UTC', '2030-01-01T10:00:00+00:00'],
  ['2030-Jan-01 10:00Z', '2030-01-01T10:00:00+00:00'],
  ['01-Jan-2030 10:00Z', '2030-01-01T10:00:00+00:00'],
  ['2030/01/01 10:00Z', '2030-01-01T10:00:00+00:00'],
  ['2030.01.02 10:00 UTC', '2030-01-02T10:00:00+00:00'],
  ['2030-1-1 9:05 UTC', '2030-01-01T09:05:00+00:00'],
  ['01/02/2030 10:00 UTC', '2030-01-02T10:00:00+00:00'],
  ['13/02/2030 10:00 UTC', '2030-02-13T10:00:00+00:00'],
  ['10:00 UTC', '2026-11-30T10:00:00+00:00'],
  ['10pm UTC', '2026-11-30T22:00:00+00:00'],
  ['10:30 pm +02:00', '2026-11-30T22:30:00+02:00'],
  ['Jan 1 10:00 UTC', '2026-01-01T10:00:00+00:00'],
  ['2030-01-01 12:00 AM UTC', '2030-01-01T00:00:00+00:00'],
  ['2030-01-01 12:00 PM UTC', '2030-01-01T12:00:00+00:00'],
  ['20300101T1000Z', '2030-01-01T10:00:00+00:00'],
  ['20300101 100000 UTC', '2030-01-01T10:00:00+00:00'],
  ['20300101100000Z', '2030-01-01T10:00:00+00:00'],
  ['203001011000', '2030-01-01T10:00:00'],
  ['2030-01-01T1000+0100', '2030-01-01T10:00:00+01:00'],
  ['2030-01-01T100000.25+0100', '2030-01-01T10:00:00.250000+01:00'],
  ['2030-01-01T10Z', '2030-01-01T10:00:00+00:00'],
  ['2030-01-01T10:00:00.123456789+00:00', '2030-01-01T10:00:00.123456+00:00'],
  ['2030-01-01T10:00:00,5Z', '2030-01-01T10:00:00.500000+00:00'],
  ['2030-01-01T10:00:00+5:30', '2030-01-01T10:00:00+05:30'],
  ['2030-01-01T10:00:00-0530', '2030-01-01T10:00:00-05:30'],
  ['2030-01-01 10:00:00 +0100 (CET)', '2030-01-01T10:00:00+01:00'],
  ['2030-01-01 at 10:00 UTC', '2030-01-01T10:00:00+00:00'],
  ['10:00 UTC 2030-01-01', '2030-01-01T10:00:00+00:00'],
  ['  2030-01-01 10:00 UTC  ', '2030-01-01T10:00:00+00:00'],
  ['2030-01-01T10:00 EST', '2030-01-01T10:00:00'],
  ['2032-02-29', '2032-02-29T00:00:00'],
];

test.each(READ)('%s', (text, iso) => {
  const time = readTypedTime(text, TODAY);
  expect(time).not.toBe(null);
  const moment = momentOf(time!);
  expect(time!.offsetMinutes === null ? moment.iso.replace(/\+00:00$/, '') : moment.iso).toBe(iso);
  expect(moment.epochMs).toBe(
    Date.parse(`${iso.replace(/(\.\d{3})\d+/, '$1')}${time!.offsetMinutes === null ? 'Z' : ''}`) + (time!.micros % 1000) / 1000,
  );
});

test.each([
  '',
  '   ',
  'now',
  'tomorrow 10:00 UTC',
  '2030',
  'UTC',
  '+01:00',
  '2030-01-01 UTC',
  '2030-01-01T24:00:00Z',
  '2030-01-01T10:60Z',
  '2030-01-01T10:00:60Z',
  '2030-01-01 13:00 PM UTC',
  '2030-02-30 10:00 UTC',
  '2030-13-12 10:00 UTC',
  '2030-001T10:00Z',
  '2030-01-01T10:00:00+25:00',
  '2030-01-01T10:00+010',
  '2030-01-01T10:00:00+00:00Z',
  '1893492000',
])('%j is no moment, as for dateutil', (text) => {
  expect(readTypedTime(text, TODAY)).toBe(null);
});

test.each([
  '2030-01-01T10:00 UTC+3',
  '30-01-01 10:00 UTC',
  '1/2/30 10:00 UTC',
  'Jan 2030 10:00 UTC',
  '2030-01 10:00 UTC',
  '2030-01-01-10:00',
])('%j, where dateutil guesses, is refused', (text) => {
  expect(readTypedTime(text, TODAY)).toBe(null);
});

test('reads what any clock prints, and its own output', () => {
  fc.assert(
    fc.property(fc.date({ min: new Date(0), max: new Date('2999-12-31'), noInvalidDate: true }), (date) => {
      for (const text of [date.toISOString(), date.toUTCString()]) {
        const time = readTypedTime(text, TODAY);
        expect([text, time]).not.toEqual([text, null]);
        const { epochMs, iso } = momentOf(time!);
        expect([text, Math.floor(epochMs / 1000)]).toEqual([text, Math.floor(date.getTime() / 1000)]);
        expect(momentOf(readTypedTime(iso, TODAY)!)).toEqual({ epochMs, iso });
      }
    }),
  );
});

test('never throws, and takes no longer for a long text', () => {
  const words = fc.constantFrom(...'0 1 9 30 2030 : - + / . , T Z am pm UTC Jan 1st mon at ( )'.split(' '), ' ');
  fc.assert(fc.property(fc.array(words, { maxLength: 30 }), (parts) => readTypedTime(parts.join(''), TODAY) !== undefined));
  expect(readTypedTime('2030-01-01 10:00 '.repeat(60_000), TODAY)).toBe(null);
  expect(readTypedTime(`${' '.repeat(1_000_000)}10:00`, TODAY)).toMatchObject({ hour: 10 });
});
