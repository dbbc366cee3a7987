import { mkdir, mkdtemp, rm, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DirectoryLooker } from './directory-look.ts';
import { IF_UNREADABLE } from './directory-mark.ts';

const NO_MARKS = { restored: false, strayed: false, 'opened-by-hand': false };
const PEACE = { facts: { state: 'valid', major: 15, standbySignal: false, incompleteWork: null }, marks: NO_MARKS };
const LONG_AGO = new Date('2026-01-01T00:00:00Z');

let place: string;
let real: string;
let linked: string;
let clock: { atMs: number; monotonicMs: () => number; wallMs: () => number };
let looker: DirectoryLooker;

/** Times long past, so that a change now is not of the same moment. */
const age = () => Promise.all([place, join(place, 'volume'), real].map((path) => utimes(path, LONG_AGO, LONG_AGO)));

beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'regent-look-'));
  real = join(place, 'volume', 'data');
  linked = join(place, 'data');
  await mkdir(join(real, 'global'), { recursive: true });
  await writeFile(join(real, 'PG_VERSION'), '15\n');
  await writeFile(join(real, 'global', 'pg_control'), 'control');
  await symlink(real, linked);
  await age();
  // Directories that were made just now count as settled by this clock.
  clock = { atMs: 0, monotonicMs: () => clock.atMs, wallMs: () => Date.now() + 60_000 };
  looker = new DirectoryLooker(clock);
});

afterEach(() => rm(place, { recursive: true, force: true }));

test('while nothing changes it is not looked at again, but for once a minute', async () => {
  const first = await looker.look(linked);
  expect(first).toMatchObject(PEACE);
  clock.atMs = 59_000;
  expect(await looker.look(linked)).toBe(first);
  clock.atMs = 61_000;
  const second = await looker.look(linked);
  expect(second).not.toBe(first);
  expect(second).toEqual(first);
  clock.atMs = 100_000;
  expect(await looker.look(linked)).toBe(second);
});

test.each([
  ['a signal file', () => join(real, 'standby.signal'), { facts: { standbySignal: true }, marks: NO_MARKS }],
  ['a label', () => join(real, 'backup_label'), { facts: { backupLabel: '' } }],
  ['a mark in it', () => join(real, 'pgsql_tmp.regent-strayed'), { marks: { ...NO_MARKS, strayed: true } }],
  ['a mark beside its name', () => `${linked}.regent-restored`, { marks: { ...NO_MARKS, restored: true } }],
  ['a mark beside where it is', () => `${real}.regent-opened-by-hand`, { marks: { ...NO_MARKS, 'opened-by-hand': true } }],
  ['work begun beside where it is', () => `${real}.regent-incomplete`, { facts: { state: 'incomplete' } }],
])('%s is seen at once, and its end', async (_, path, seen) => {
  expect(await looker.look(linked)).toMatchObject(PEACE);
  await writeFile(path(), '');
  expect(await looker.look(linked)).toMatchObject(seen);
  await age();
  expect(await looker.look(linked)).toMatchObject(seen);
  await unlink(path());
  expect(await looker.look(linked)).toMatchObject(PEACE);
});

test('a control file that is gone is seen, and a directory put in the place of the other', async () => {
  expect(await looker.look(linked)).toMatchObject(PEACE);
  await rm(join(real, 'global', 'pg_control'));
  expect((await looker.look(linked)).facts.state).toBe('foreign');
  const other = join(place, 'volume', 'other');
  await mkdir(other);
  await utimes(other, LONG_AGO, LONG_AGO);
  await unlink(linked);
  await symlink(other, linked);
  expect((await looker.look(linked)).facts.state).toBe('missing');
});

test('what has just changed may change again in the same moment', async () => {
  clock.wallMs = () => Date.now();
  const first = await looker.look(linked);
  const second = await looker.look(linked);
  expect(second).toEqual(first);
  expect(second).not.toBe(first);
});

test('texts that may change in their place are read each time', async () => {
  await writeFile(join(real, 'backup_label'), 'one');
  await age();
  expect((await looker.look(real)).facts.backupLabel).toBe('one');
  await writeFile(join(real, 'backup_label'), 'two');
  expect((await looker.look(real)).facts.backupLabel).toBe('two');
});

test('a place that cannot be reached is no error', async () => {
  const look = await looker.look(join(place, 'x'.repeat(300)));
  expect(look).toMatchObject({ facts: { state: 'inaccessible' }, marks: IF_UNREADABLE });
});
