/**
 * Writes files that others read at the same time: a reader sees the old text or the new one, also
 * after a power cut.
 */
import { randomUUID } from 'node:crypto';
import { readFile, realpath, rename, rm, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { codeOf, ensureError, RegentError } from '../../support/errors.ts';
import { exists, syncDirectory, type WriteOptions, writeNew } from './file-steps.ts';
import { textOf } from './file-text.ts';
import { cannotReplace, writeInPlace } from './in-place.ts';

export type { WriteOptions } from './file-steps.ts';

/**
 * False: the file already held this text, with these permissions. A symbolic link stays one; what
 * it leads to is replaced. A file that cannot be replaced is written in place, after its text was
 * kept (see in-place.ts). Throws FILE_WRITE_FAILED, and then the old file is untouched.
 */
export async function writeFileAtomic(path: string, text: string, options: WriteOptions): Promise<boolean> {
  try {
    const target = await realOrSame(path);
    if (await holds(target, text, options)) return false;
    try {
      await replace(target, text, options);
      return true;
    } catch (error) {
      if (!cannotReplace(error) || !(await exists(target))) throw error;
      return await writeInPlace(target, text, options, error);
    }
  } catch (error) {
    throw new RegentError('FILE_WRITE_FAILED', `could not write ${path}: ${reasonOf(error)}`, {
      mend: `${dirname(path)} must exist, have room and be writable by the user Regent runs as`,
      cause: error,
    });
  }
}

async function replace(target: string, text: string, options: WriteOptions): Promise<void> {
  const temporary = join(dirname(target), `.${basename(target)}.${randomUUID().slice(0, 8)}.new`);
  try {
    await writeNew(temporary, text, options);
    await rename(temporary, target);
  } catch (error) {
    // In a directory that is not ours there is none.
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
  await syncDirectory(dirname(target));
}

/** Leaves out the name of the temporary file, which is another at every try. */
export function reasonOf(error: unknown): string {
  return ensureError(error).message.replace(/, \w+ '.*$/s, '');
}

async function holds(path: string, text: string, options: WriteOptions): Promise<boolean> {
  const old = await readText(path);
  if (old !== text) return false;
  const { mode, uid } = await stat(path);
  return (mode & 0o777) === options.mode && (options.owner === undefined || options.owner.uid === uid);
}

async function realOrSame(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return path;
    throw error;
  }
}

/** Null when there is no such file. */
export async function readText(path: string): Promise<string | null> {
  try {
    return textOf(await readFile(path));
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null;
    throw error;
  }
}

/** False: it was not there. Durable. */
export async function removeFile(path: string): Promise<boolean> {
  try {
    await unlink(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
  await syncDirectory(dirname(path));
  return true;
}

/**
 * Permission bits for a file PostgreSQL reads: those of the file it replaces, else as open to the
 * group as the data directory is.
 */
export async function fileMode(path: string, dataDir: string): Promise<number> {
  const old = await modeOf(path);
  if (old !== null) return old & 0o777;
  const directory = await modeOf(dataDir);
  return directory !== null && (directory & 0o050) !== 0 ? 0o640 : 0o600;
}

async function modeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).mode;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}
