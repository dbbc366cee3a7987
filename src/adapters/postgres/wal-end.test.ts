import { describe, expect, test } from 'vitest';
import { parseLsn } from '../../core/units.ts';
import { endOfSegments, readLastRecord } from './wal-end.ts';

test('the end of the WAL is where pg_waldump stumbles', () => {
  const at = parseLsn('0/2000060');
  const words = 'pg_waldump: error: error in WAL record at 0/3027928: invalid record length at 0/3027AC0: wanted 24, got 0\n';
  expect(readLastRecord(words, at)).toBe(parseLsn('0/3027928'));
  expect(readLastRecord(words, parseLsn('0/4000000'))).toBeNull();
  expect(readLastRecord('pg_waldump: error: could not open file "000000010000000000000004": No such file or directory', at)).toBeNull();
});

describe('the row of segments from the checkpoint on', () => {
  const start = { timeline: 2, checkpointLsn: parseLsn('0/2000060'), segmentBytes: 16 * 1024 * 1024 };
  const [first, second, third, fourth] = [2, 3, 4, 5].map((n) => `00000002000000000000000${n}`) as [string, string, string, string];

  test('ends with the last one before a gap', () => {
    expect(endOfSegments([first, second, third], start)).toBe(parseLsn('0/5000000'));
    expect(endOfSegments([fourth, second, first, '00000002.history'], start)).toBe(parseLsn('0/4000000'));
    expect(endOfSegments([first], { ...start, checkpointLsn: parseLsn('0/2FFFFF8') })).toBe(parseLsn('0/3000000'));
    expect(endOfSegments([first], { ...start, checkpointLsn: parseLsn('0/2000000') })).toBe(parseLsn('0/3000000'));
  });

  test('is of the checkpoint’s timeline', () => {
    expect(endOfSegments([first, '000000010000000000000003', `${second}.partial`], start)).toBe(parseLsn('0/3000000'));
  });

  test('does not begin without the checkpoint’s own', () => {
    expect(endOfSegments([second, third], start)).toBeNull();
  });
});
