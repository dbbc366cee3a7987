/**
 * Writes files that cannot be replaced. One is a single file that is mounted (rename: EBUSY).
 * Another is our file in a directory that is not ours, where no new file can be made. The old text
 * is kept first, durably. A reader may see part of the new one while it is written.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { codeOf } from '../../support/errors.ts';
import { exists, syncDirectory, type WriteOptions, writeNew } from './file-steps.ts';
import { bytesOf, textOf } from './file-text.ts';

/**
 * Of rename: a mount is in the way. Of making a file, or a rename over somebody else's: the
 * directory is not ours, or on a read-only file system.
 */
const NOT_REPLACEABLE: ReadonlySet<string | null> = new Set(['EBUSY', 'EXDEV', 'EACCES', 'EPERM', 'EROFS']);

export const cannotReplace = (error: unknown): boolean => NOT_REPLACEABLE.has(codeOf(error));

/**
 * In a data directory under a name that base backups leave out: what is kept there may hold
 * passwords, and is this node's alone.
 */
export const spareName = (spare: string, name: string): string => join(spare, `pgsql_tmp.${name}`);

/**
 * False: text and permissions already are as they can be. Throws what a system call throws, also
 * EPERM where others may read a file that must be closed to them.
 */
export async function writeInPlace(path: string, text: string, options: WriteOptions, reason: unknown): Promise<boolean> {
  const file = await open(path, 'r+');
  try {
    const before = textOf(await file.readFile());
    const mode = (await file.stat()).mode & 0o777;
    const permitted = await permissions(file, options);
    if (before === text) {
      if (permitted) await file.sync();
      return permitted;
    }
    const keeping = await keep(path, before, { ...options, mode: mode & options.mode });
    await overwrite(file, before, text);
    const kept = keeping.replace(WRITING, KEPT);
    await rename(keeping, kept);
    options.inPlace?.({ path, reason, kept });
    return true;
  } finally {
    await file.close();
  }
}

/**
 * Never shorter than it was or will be until it is whole: the rest of a longer text is blanked by
 * the same write.
 */
async function overwrite(file: FileHandle, before: string, text: string): Promise<void> {
  const [old, wanted] = [bytesOf(before), bytesOf(text)];
  const blank = Buffer.alloc(Math.max(0, old.length - wanted.length), '\n');
  try {
    await writeWhole(file, Buffer.concat([wanted, blank]));
    await file.truncate(wanted.length);
    await file.sync();
  } catch (error) {
    // The disk is full, say: the old text had room.
    await writeWhole(file, old).catch(() => {});
    await file.truncate(old.length).catch(() => {});
    await file.sync().catch(() => {});
    throw error;
  }
}

async function writeWhole(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += (await file.write(bytes, done, bytes.length - done, done)).bytesWritten;
}

/**
 * True: they were changed. A file that must be closed to others is mended or refused when they may
 * read it. Its owner stays, where that cannot be changed.
 */
async function permissions(file: FileHandle, { mode, owner }: WriteOptions): Promise<boolean> {
  const now = await file.stat();
  let changed = false;
  const tried = async (work: Promise<void>, must: boolean) => {
    try {
      await work;
      changed = true;
    } catch (error) {
      if (must || !cannotReplace(error)) throw error;
    }
  };
  const open = now.mode & 0o777;
  if (open !== mode) await tried(file.chmod(mode), (open & ~mode & 0o077) !== 0);
  if (owner && now.uid !== owner.uid) await tried(file.chown(owner.uid, owner.gid), false);
  return changed;
}

const WRITING = /\.regent-writing$/;
const KEPT = '.regent-old';

/**
 * Beside the file, else in the spare directory. One that is there already is from an interrupted
 * write: its text is whole, and the file's may not be.
 */
async function keep(path: string, text: string, options: WriteOptions): Promise<string> {
  const name = `${basename(path)}.regent-writing`;
  const places = [join(dirname(path), name), ...(options.spare === undefined ? [] : [spareName(options.spare, name)])];
  for (const place of places) if (await exists(place)) return place;
  for (const [index, place] of places.entries()) {
    const temporary = `${place}.${randomUUID().slice(0, 8)}`;
    try {
      await writeNew(temporary, text, options);
      await rename(temporary, place);
      await syncDirectory(dirname(place));
      return place;
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      if (index === places.length - 1 || !cannotReplace(error)) throw error;
    }
  }
  throw new Error('no place to keep the old text');
}
