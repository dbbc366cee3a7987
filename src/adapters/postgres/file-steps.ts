/** The steps of which files are written durably. */
import { access, open } from 'node:fs/promises';
import type { Owner } from './deps.ts';
import { bytesOf } from './file-text.ts';

export interface InPlaceNote {
  readonly path: string;
  /** Why it could not be replaced. */
  readonly reason: unknown;
  /** Where the text is that was in it before. */
  readonly kept: string;
}

export interface WriteOptions {
  /** Permission bits of the new file. */
  readonly mode: number;
  /** undefined: the agent's own user. */
  readonly owner?: Owner | undefined;
  /**
   * Where the old text of a file goes that can only be written in place, in a directory that takes
   * no other file.
   */
  readonly spare?: string;
  /** Called once a file was written in place because it cannot be replaced. */
  readonly inPlace?: (note: InPlaceNote) => void;
}

export async function writeNew(path: string, text: string, options: Pick<WriteOptions, 'mode' | 'owner'>): Promise<void> {
  const file = await open(path, 'wx', options.mode);
  try {
    // The umask may have taken bits away that a reader in the group needs.
    await file.chmod(options.mode);
    if (options.owner) await file.chown(options.owner.uid, options.owner.gid);
    await file.writeFile(bytesOf(text));
    await file.sync();
  } finally {
    await file.close();
  }
}

export async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
