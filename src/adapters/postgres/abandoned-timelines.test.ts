import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { toLsn } from '../../core/units.ts';
import { abandonedAmong, removeLaterHistories } from './abandoned-timelines.ts';
import { LocalHistory } from './history-file.ts';

/** The history of any timeline that began on the first. */
const FIRST = '1\t0/3000000\tx\n';

const made: string[] = [];
afterEach(() => {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true });
});

function directoryWith(files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'regent-timelines-'));
  made.push(directory);
  mkdirSync(join(directory, 'pg_wal', 'archive_status'), { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, 'pg_wal', name), text);
  return directory;
}

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

test('finds the timeline that PostgreSQL would follow: the last of those without a gap', async () => {
  const directory = directoryWith({
    '00000002.history': FIRST,
    '0000000A.history': '9\t0/4000000\tx\n',
    '0000000B.history': '9\t0/4000000\tx\n10\t0/5000000\tx\n',
    '0000000D.history': FIRST,
  });
  const latest = (after: number) => new LocalHistory().latest(directory, after);
  expect(await latest(9)).toMatchObject({ timeline: 11, history: [{ timeline: 9 }, { timeline: 10 }] });
  expect([await latest(2), await latest(13)]).toEqual([null, null]);
});

test('removes the histories of later timelines, and what is to archive them', async () => {
  const directory = directoryWith({
    '00000002.history': FIRST,
    '00000003.history': FIRST,
    '00000010.history': FIRST,
    'archive_status/00000003.history.done': '',
    '000000030000000000000003': 'a segment',
  });
  expect((await removeLaterHistories(directory, 2)).toSorted()).toEqual(['00000003.history', '00000010.history']);
  expect(readdirSync(join(directory, 'pg_wal')).toSorted()).toEqual(['00000002.history', '000000030000000000000003', 'archive_status']);
  expect(readdirSync(join(directory, 'pg_wal', 'archive_status'))).toEqual([]);
});
