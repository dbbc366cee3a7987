/**
 * What keeps a standby from being promoted, as its disk tells. Real full and read-only file
 * systems: test/integration/faults-chores.test.ts.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
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
  mkdirSync(join(dir, 'pg_wal'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test('a disk that can be written is no trouble, and nothing is left on it', async () => {
  expect(await new Room(clock).trouble(dir, 1024)).toBeNull();
  expect([...readdirSync(dir), ...readdirSync(join(dir, 'pg_wal'))]).toEqual(['pg_wal']);
});

test('less room than a segment of WAL is', async () => {
  expect(await new Room(clock).trouble(dir, 2 ** 60)).toMatch(/^the disk of pg_wal has no room for the \d+ MB that a promotion writes$/);
});

test('a disk that takes nothing is', async () => {
  symlinkSync('/dev/full', join(dir, 'pg_wal', 'pgsql_tmp.regent-write-test'));
  expect(await new Room(clock).trouble(dir, 1024)).toBe('the disk of pg_wal is full');
});

test('an answer holds for a second', async () => {
  const room = new Room(clock);
  expect(await room.trouble(dir, 2 ** 60)).not.toBeNull();
  expect(await room.trouble(dir, 1024)).not.toBeNull();
  nowMs = 1000;
  expect(await room.trouble(dir, 1024)).toBeNull();
});
