import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fileMode, readText, removeFile, writeFileAtomic } from './atomic-file.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'regent-file-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const permissions = (path: string) => statSync(path).mode & 0o777;

test('writes once, with exactly the permissions asked for, and leaves nothing beside it', async () => {
  const path = join(directory, 'a');
  const umask = process.umask(0o077);
  try {
    expect(await writeFileAtomic(path, 'x\n', { mode: 0o640 })).toBe(true);
  } finally {
    process.umask(umask);
  }
  expect(await writeFileAtomic(path, 'x\n', { mode: 0o640 })).toBe(false);
  expect(readFileSync(path, 'utf8')).toBe('x\n');
  expect(permissions(path)).toBe(0o640);
  expect(readdirSync(directory)).toEqual(['a']);
});

test('the same text with other permissions is written again: a password file must not stay open to others', async () => {
  const path = join(directory, 'a');
  writeFileSync(path, 'x', { mode: 0o644 });
  expect(await writeFileAtomic(path, 'x', { mode: 0o600 })).toBe(true);
  expect(permissions(path)).toBe(0o600);
});

test('a reader that has the old file open reads the old text to its end', async () => {
  const path = join(directory, 'a');
  writeFileSync(path, 'old');
  const before = statSync(path).ino;
  await writeFileAtomic(path, 'new', { mode: 0o600 });
  expect(statSync(path).ino).not.toBe(before);
});

test('a symbolic link stays one', async () => {
  mkdirSync(join(directory, 'real'));
  const target = join(directory, 'real', 'file');
  const link = join(directory, 'link');
  writeFileSync(target, 'old');
  symlinkSync(target, link);
  await writeFileAtomic(link, 'new', { mode: 0o600 });
  expect(lstatSync(link).isSymbolicLink()).toBe(true);
  expect(readFileSync(target, 'utf8')).toBe('new');
});

test('a failure names the file, keeps its text and leaves nothing behind', async () => {
  const path = join(directory, 'sub', 'a');
  await expect(writeFileAtomic(path, 'x', { mode: 0o600 })).rejects.toMatchObject({
    code: 'FILE_WRITE_FAILED',
    message: expect.stringContaining(path),
  });
  const blocked = join(directory, 'dir');
  mkdirSync(blocked);
  await expect(writeFileAtomic(blocked, 'x', { mode: 0o600 })).rejects.toMatchObject({ code: 'FILE_WRITE_FAILED' });
  expect(readdirSync(directory)).toEqual(['dir']);
});

test('permissions follow the file replaced, else the data directory', async () => {
  const data = join(directory, 'data');
  mkdirSync(data, { mode: 0o700 });
  const path = join(data, 'postgresql.conf');
  expect(await fileMode(path, data)).toBe(0o600);
  chmodSync(data, 0o750);
  expect(await fileMode(path, data)).toBe(0o640);
  writeFileSync(path, '', { mode: 0o604 });
  chmodSync(path, 0o604);
  expect(await fileMode(path, data)).toBe(0o604);
});

test('a missing file reads as null and is removed without complaint', async () => {
  const path = join(directory, 'a');
  expect(await readText(path)).toBeNull();
  expect(await removeFile(path)).toBe(false);
  writeFileSync(path, 'x');
  expect(await removeFile(path)).toBe(true);
  expect(await readText(path)).toBeNull();
});
