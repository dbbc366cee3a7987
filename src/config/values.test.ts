import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gucText, parseBool, parseInteger, parseReal, roundHalfEven } from './values.ts';

describe('parseBool', () => {
  it.each([
    ['on', true],
    ['TRUE', true],
    ['yes', true],
    ['1', true],
    [1, true],
    [true, true],
    ['off', false],
    ['False', false],
    ['no', false],
    [0, false],
    [false, false],
    ['maybe', null],
    ['', null],
    ['2', null],
    ['t', null],
    [null, null],
  ])('reads %j as %j', (value, expected) => {
    expect(parseBool(value)).toBe(expected);
  });
});

describe('parseInteger', () => {
  it.each([
    ['100', null, 100],
    [100, null, 100],
    ['  7', null, 7],
    ['-3', null, -3],
    ['0x1F', null, 31],
    ['0640', null, 0o640],
    ['0', null, 0],
    ['08', null, null],
    ['1e3', null, 1000],
    ['5.5', null, 6],
    ['4.5', null, 4],
    ['6.5', null, 6],
    ['12 ', null, 12],
    ['30s', null, null],
    ['', null, null],
    ['abc', null, null],
    ['1 2', null, null],
    ['9007199254740993', null, null],
    ['30min', 's', 1800],
    ['1h', 's', 3600],
    ['1d', 'min', 1440],
    ['1500ms', 's', 2],
    ['500us', 'ms', 0],
    ['1GB', 'MB', 1024],
    ['1 GB', 'kB', 1048576],
    ['16MB', 'B', 16777216],
    ['1kb', 'B', null],
    ['1Gb', 'MB', null],
    ['1min', 'MB', null],
    ['128MB', '8kB', 16384],
    ['1GB', '16MB', 64],
    ['1.1GB', 'MB', 1126],
    ['1.5GB', 'MB', 1536],
    ['12.5GB', 'MB', 12800],
    ['17900.0MB', 'MB', 17900],
    ['17900.0', null, 17900],
    ['010.5', null, 10],
    ['12e1kB', 'kB', 120],
    ['128EB', 'MB', null],
    ['0.5TB', 'GB', 512],
    ['1parsec', 's', null],
  ])('reads %j in %j as %j', (value, unit, expected) => {
    expect(parseInteger(value, unit)).toBe(expected);
  });

  it('reads back every whole number, with and without a unit', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.integer({ min: 0, max: 1_000_000 }), (number, small) => {
        expect(parseInteger(String(number))).toBe(number);
        expect(parseInteger(`${small}MB`, 'kB')).toBe(small * 1024);
        expect(parseInteger(`${small}h`, 's')).toBe(small * 3600);
      }),
    );
  });

  it('never throws and yields a whole number or null', () => {
    fc.assert(
      fc.property(fc.anything(), fc.constantFrom(null, 'kB', 's', '8kB', 'nonsense'), (value, unit) => {
        const text = typeof value === 'symbol' || (typeof value === 'object' && value !== null) ? '?' : value;
        const found = parseInteger(text, unit);
        expect(found === null || Number.isSafeInteger(found)).toBe(true);
      }),
    );
  });
});

it('parseReal keeps fractions', () => {
  expect(parseReal('.5')).toBe(0.5);
  expect(parseReal('1.25s', 'ms')).toBe(1250);
});

it('roundHalfEven goes to the even neighbour', () => {
  expect([0.5, 1.5, 2.5, -0.5, -1.5, 2.4, 2.6].map(roundHalfEven).map((value) => value + 0)).toEqual([0, 2, 2, 0, -2, 2, 3]);
});

it.each([
  [true, 'on'],
  [false, 'off'],
  [1.1, '1.1'],
  [100n, '100'],
  ['256MB', '256MB'],
  [[1], null],
  [{}, null],
  [null, null],
  [Number.NaN, null],
])('gucText of %s', (value, expected) => {
  expect(gucText(value)).toBe(expected);
});
