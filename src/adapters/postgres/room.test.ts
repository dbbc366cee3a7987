/**
 * What keeps a standby from being promoted, as its disk tells. Real full and read-only file
 * systems: test/integration/faults-chores.test.ts.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Room } from './room.ts';

let dir: string;
let nowMs: number;
const clock = { monotonicMs: () => nowMs, timer: () => () => {} };

beforeEach(() => {
  nowMs = 0;
  dir = mkdtempSync(join(tmpdir(), 'regent-room-'));
  for (const name of ['base', 'pg_wal']) mkdirSync(join(dir, name));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test('a disk that can be written is no trouble, and nothing is left on it; the data directory itself is not touched', async () => {
  utimesSync(dir, 1, 1);
  expect(await new Room(clock).trouble(dir, 1024)).toBeNull();
  expect([dir, join(dir, 'base'), join(dir, 'pg_wal')].map((path) => readdirSync(path))).toEqual([['base', 'pg_wal'], [], []]);
  expect(statSync(dir).mtimeMs).toBe(1000);
});

test('less room than a segment of WAL is', async () => {
  expect(await new Room(clock).trouble(dir, 2 ** 60)).toMatch(/^the disk of pg_wal has no room for the \d+ MB that a promotion writes$/);
});

test.each([
  ['pg_wal', 'the disk of pg_wal is full'],
  ['base', 'the disk of the data directory is full'],
])('a disk that takes nothing is: %s', async (directory, trouble) => {
  symlinkSync('/dev/full', join(dir, directory, 'pgsql_tmp.regent-write-test'));
  expect(await new Room(clock).trouble(dir, 1024)).toBe(trouble);
});

test('an answer holds for a second', async () => {
  const room = new Room(clock);
  expect(await room.trouble(dir, 2 ** 60)).not.toBeNull();
  expect(await room.trouble(dir, 1024)).not.toBeNull();
  nowMs = 1000;
  expect(await room.trouble(dir, 1024)).toBeNull();
});
