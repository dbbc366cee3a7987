/**
 * Files that cannot be replaced. With real mounts: test/integration/postgres-access-files.test.ts.
 */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { writeFileAtomic } from './atomic-file.ts';
import type { InPlaceNote } from './file-steps.ts';
import { cannotReplace, spareName, writeInPlace } from './in-place.ts';

let home: string;
let path: string;
let notes: InPlaceNote[];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'regent-in-place-'));
  mkdirSync(join(home, 'etc'));
  mkdirSync(join(home, 'data'));
  path = join(home, 'etc', 'pg_hba.conf');
  notes = [];
});
afterEach(() => {
  chmodSync(join(home, 'etc'), 0o700);
  rmSync(home, { recursive: true, force: true });
});

const REASON = Object.assign(new Error('EBUSY: resource busy or locked, rename'), { code: 'EBUSY' });
const options = (mode = 0o600) => ({ mode, spare: join(home, 'data'), inPlace: (note: InPlaceNote) => void notes.push(note) });
const write = (text: string, mode = 0o600) => writeInPlace(path, text, options(mode), REASON);

const NOBODY = 65534;
/** For root nothing is forbidden. */
async function asNobody(work: () => Promise<void>): Promise<void> {
  const root = process.geteuid?.() === 0;
  if (root) process.seteuid!(NOBODY);
  try {
    await work();
  } finally {
    if (root) process.seteuid!(0);
  }
}

describe('a file written in place', () => {
  test.each([
    ['shorter', 'a long old text\nof two lines\n', 'new\n'],
    ['longer', 'old\n', 'a long new text\nof two lines, ä\n'],
    ['emptied', 'old\n', ''],
  ])('holds the new text, %s, is the same file, and its old text lies beside it', async (_, old, text) => {
    writeFileSync(path, old, { mode: 0o600 });
    const { ino } = statSync(path);
    expect(await write(text)).toBe(true);
    expect([readFileSync(path, 'utf8'), statSync(path).ino]).toEqual([text, ino]);
    expect(readFileSync(`${path}.regent-old`, 'utf8')).toBe(old);
    expect(notes).toEqual([{ path, reason: REASON, kept: `${path}.regent-old` }]);
    expect(readdirSync(join(home, 'etc')).sort()).toEqual(['pg_hba.conf', 'pg_hba.conf.regent-old']);
  });

  test('is left alone where it holds the text already, but is closed to others where it must be', async () => {
    writeFileSync(path, 'same', { mode: 0o600 });
    expect(await write('same')).toBe(false);
    chmodSync(path, 0o644);
    expect(await write('same')).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(notes).toEqual([]);
  });

  test('after a broken write keeps the text from before that write, and not its half', async () => {
    writeFileSync(path, 'ha', { mode: 0o600 });
    writeFileSync(`${path}.regent-writing`, 'whole\n', { mode: 0o600 });
    await write('new\n');
    expect(readFileSync(`${path}.regent-old`, 'utf8')).toBe('whole\n');
    expect(readdirSync(join(home, 'etc'))).not.toContain('pg_hba.conf.regent-writing');
  });

  test('keeps its old text as closed to others as the file was', async () => {
    writeFileSync(path, 'secret', { mode: 0o600 });
    await write('new', 0o644);
    expect(statSync(`${path}.regent-old`).mode & 0o777).toBe(0o600);
  });

  test('in a directory that is not ours keeps its old text in the data directory', async () => {
    writeFileSync(path, 'old', { mode: 0o600 });
    if (process.getuid?.() === 0) for (const own of [path, join(home, 'data')]) chownSync(own, NOBODY, NOBODY);
    chmodSync(home, 0o711);
    chmodSync(join(home, 'etc'), 0o555);
    await asNobody(async () => {
      expect(await writeFileAtomic(path, 'new', options())).toBe(true);
      expect(await writeFileAtomic(path, 'new', options())).toBe(false);
    });
    const kept = spareName(join(home, 'data'), 'pg_hba.conf.regent-old');
    expect([readFileSync(path, 'utf8'), readFileSync(kept, 'utf8')]).toEqual(['new', 'old']);
    expect(notes).toMatchObject([{ path, kept, reason: { code: 'EACCES' } }]);
    expect(readdirSync(join(home, 'etc'))).toEqual(['pg_hba.conf']);
  });

  test('that can be neither replaced nor written is left as it was, and the error says so', async () => {
    writeFileSync(path, 'old', { mode: 0o444 });
    chmodSync(home, 0o711);
    chmodSync(join(home, 'etc'), 0o555);
    await asNobody(async () => {
      await expect(writeFileAtomic(path, 'new', options())).rejects.toMatchObject({ code: 'FILE_WRITE_FAILED' });
    });
    expect(readFileSync(path, 'utf8')).toBe('old');
  });
});

test.each([
  ['EBUSY', true],
  ['EXDEV', true],
  ['EACCES', true],
  ['EPERM', true],
  ['EROFS', true],
  ['ENOSPC', false],
  ['ENOENT', false],
  ['EISDIR', false],
])('%s: written in place: %s', (code, expected) => {
  expect(cannotReplace(Object.assign(new Error(code), { code }))).toBe(expected);
});
