import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { codeOf } from '../support/errors.ts';

const DRAFT = /\.[0-9a-f]{8}$/;

/** The name of the file that this is a draft of, left by a process that was killed; else null. */
export const draftedName = (name: string): string | null => (DRAFT.test(name) ? name.replace(DRAFT, '') : null);

/** Replaces a file whole, readable by its owner alone. */
export async function writePrivately(path: string, text: string): Promise<void> {
  const draft = `${path}.${randomBytes(4).toString('hex')}`;
  await writeFile(draft, text, { mode: 0o600, flag: 'wx' });
  await rename(draft, path);
}

export async function makePrivateDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
}

/** null when there is no such file; any other trouble is thrown. */
export async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}
