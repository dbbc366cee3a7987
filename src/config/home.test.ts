import { constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { homeForPassfile, isWritable } from './home.ts';

let directory: string;
let own: string;
let others: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'regent-homes-'));
  [own, others] = [join(directory, 'own'), join(directory, 'root')];
  mkdirSync(own);
  mkdirSync(others);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** The tests may run as root, who may write everywhere. */
const home = (given: string | undefined, real: string | null) =>
  homeForPassfile(
    given,
    () => real,
    (path, mode) => path !== others && isWritable(path, mode),
  );

test('takes the HOME that is the user’s own, whatever the user database says', () => {
  expect(home(own, others)).toBe(own);
});

test('takes the user’s own home where runuser has left the HOME of root', () => {
  expect(home(others, own)).toBe(own);
  expect(home(join(directory, 'missing'), own)).toBe(own);
});

test('takes none where neither takes a file, where the real one is unknown, and without a HOME', () => {
  expect(home(others, others)).toBeNull();
  expect(home(others, null)).toBeNull();
  expect(home(others, join(directory, 'missing'))).toBeNull();
  expect(home(undefined, own)).toBeNull();
  expect(home('', own)).toBeNull();
});

test('takes a home with a passfile that is there already and may be written', () => {
  writeFileSync(join(others, 'pgpass'), '', { mode: 0o600 });
  expect(home(others, own)).toBe(others);
  expect(isWritable(join(others, 'pgpass'), constants.W_OK)).toBe(true);
});
