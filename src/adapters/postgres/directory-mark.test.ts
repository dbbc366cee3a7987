import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { clearMark, clearMarks, isMarked, isSomebodysCopy, setMark } from './directory-mark.ts';

test('a mark lies beside the directory and stays until it is cleared', async () => {
  const root = mkdtempSync(join(tmpdir(), 'regent-mark-'));
  const dataDir = join(root, 'data');
  expect(await isMarked(dataDir, 'restored')).toBe(false);
  await setMark(`${dataDir}/`, 'restored');
  await setMark(dataDir, 'restored');
  await setMark(dataDir, 'strayed');
  await setMark(dataDir, 'opened-by-hand');
  expect(await isMarked(dataDir, 'restored')).toBe(true);
  await clearMark(dataDir, 'restored');
  await clearMark(dataDir, 'restored');
  expect(await isMarked(dataDir, 'restored')).toBe(false);
  expect(await isMarked(dataDir, 'strayed')).toBe(true);
  await clearMarks(dataDir);
  expect(readdirSync(root)).toEqual([]);
  rmSync(root, { recursive: true });
});

test('a mark that cannot be looked at counts as set where it only keeps a node from being counted on', async () => {
  const tooLong = join('/', 'x'.repeat(300), 'data');
  expect(await isMarked(tooLong, 'restored')).toBe(true);
  expect(await isMarked(tooLong, 'strayed')).toBe(true);
  expect(await isMarked(tooLong, 'opened-by-hand')).toBe(false);
});

test('a label shows a copy, and so does a crashed primary that starts as a standby of another', () => {
  const plain = { state: 'valid', incompleteWork: null, major: 15, standbySignal: false } as const;
  const label = 'CHECKPOINT LOCATION: 0/2000060\nBACKUP METHOD: streamed\nSTART TIMELINE: 1\n';
  const follow = { kind: 'standby', source: { name: 'b', host: 'b', port: 5432 } } as const;
  const alone = { kind: 'standby', source: null } as const;
  const shut = { state: 'shut down in recovery' };
  expect(isSomebodysCopy(alone, { ...plain, backupLabel: label }, shut)).toBe(true);
  expect(isSomebodysCopy(alone, { ...plain, backupLabel: label.replace('streamed', 'pg_rewind') }, shut)).toBe(false);
  expect(isSomebodysCopy(alone, { ...plain, backupLabel: label, incompleteWork: 'bootstrap' }, shut)).toBe(false);
  expect(isSomebodysCopy(follow, plain, { state: 'in production' })).toBe(true);
  expect(isSomebodysCopy(alone, plain, { state: 'in production' })).toBe(false);
  expect(isSomebodysCopy(follow, plain, shut)).toBe(false);
});
