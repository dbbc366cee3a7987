import { expect, test } from 'vitest';
import { toLsn } from '../../core/units.ts';
import { abandonedAmong } from './abandoned-timelines.ts';

test('removes files of timelines that the source never had, and nothing else', () => {
  const source = { timeline: 5, history: [1, 3].map((timeline) => ({ timeline, switchLsn: toLsn(timeline * 1000), reason: '' })) };
  const abandoned = [
    '00000002.history',
    '00000006.history',
    '000000020000000000000005',
    '000000040000000000000005.partial',
    '000000060000000000000005',
  ];
  const kept = [
    '00000003.history',
    '00000005.history',
    '000000010000000000000003',
    '000000010000000000000003.00000028.backup',
    '000000030000000000000004.partial',
    '000000050000000000000005',
    'archive_status',
    'xlogtemp.17',
  ];
  expect(abandonedAmong([...kept, ...abandoned], source)).toEqual(abandoned);
});
