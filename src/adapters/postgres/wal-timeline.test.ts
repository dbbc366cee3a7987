import { expect, test } from 'vitest';
import { parseLsn } from '../../core/units.ts';
import { segmentSuffix, timelineAmong } from './wal-timeline.ts';

const MB16 = 16 * 1024 * 1024;

test('the segment of a position is that of the byte before it', () => {
  expect(segmentSuffix(parseLsn('0/3000148'), MB16)).toBe('0000000000000003');
  expect(segmentSuffix(parseLsn('0/3000000'), MB16)).toBe('0000000000000002');
  expect(segmentSuffix(parseLsn('1/0'), MB16)).toBe('00000000000000FF');
  expect(segmentSuffix(parseLsn('2/FF000001'), MB16)).toBe('00000002000000FF');
  expect(segmentSuffix(parseLsn('0/C0000001'), 1024 * 1024 * 1024)).toBe('0000000000000003');
});

test('the highest timeline that holds the position', () => {
  const names = [
    '000000010000000000000003',
    '000000020000000000000003',
    '0000000A0000000000000002',
    '000000030000000000000003.partial',
    '00000003.history',
    'archive_status',
  ];
  expect(timelineAmong(names, parseLsn('0/3000148'), MB16)).toBe(2);
  expect(timelineAmong(names, parseLsn('0/2FFFFFF'), MB16)).toBe(10);
  expect(timelineAmong(names, parseLsn('0/4000001'), MB16)).toBeNull();
});
