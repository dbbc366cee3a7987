/** Files that others read while they are written: whoever opens one sees the old text or the new, also after a power cut. */
import { randomUUID } from 'node:crypto';
import { open, readFile, realpath, rename, rm, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { codeOf, ensureError, RegentError } from '../../support/errors.ts';
import type { Owner } from './deps.ts';

export interface WriteOptions {
  /** Permission bits of the new file. */
  readonly mode: number;
  /** undefined: the agent's own user. */
  readonly owner?: Owner | undefined;
}

/**
 * False: the file held this text, with these permissions, already. A symbolic link stays one; what it leads to is replaced.
 * Throws FILE_WRITE_FAILED, and then the old file is untouched.
 */
export async function writeFileAtomic(path: string, text: string, options: WriteOptions): Promise<boolean> {
  try {
    const target = await realOrSame(path);
    if (await holds(target, text, options)) return false;
    const temporary = join(dirname(target), `.${basename(target)}.${randomUUID().slice(0, 8)}.new`);
    try {
      await writeNew(temporary, text, options);
      await rename(temporary, target);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    await syncDirectory(dirname(target));
    return true;
  } catch (error) {
    throw new RegentError('FILE_WRITE_FAILED', `could not write ${path}: ${reasonOf(error)}`, {
      mend: `${dirname(path)} must exist, have room and be writable by the user Regent runs as`,
      cause: error,
    });
  }
}

/** Without the name of the temporary file, which is another at every try. */
function reasonOf(error: unknown): string {
  return ensureError(error).message.replace(/, \w+ '.*$/s, '');
}

async function writeNew(path: string, text: string, options: WriteOptions): Promise<void> {
  const file = await open(path, 'wx', options.mode);
  try {
    // The umask may have taken bits away that a reader in the group needs.
    await file.chmod(options.mode);
    if (options.owner) await file.chown(options.owner.uid, options.owner.gid);
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
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
    return await readFile(path, 'utf8');
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

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Permission bits for a file PostgreSQL reads: those of the file it replaces, else as open to the group as the data directory is. */
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
