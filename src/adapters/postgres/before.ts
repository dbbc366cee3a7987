/** What somebody else wrote is kept before it is overwritten for the first time. */

import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { ensureError } from '../../support/errors.ts';
import { readText, writeFileAtomic } from './atomic-file.ts';
import type { Owner } from './deps.ts';
import { cannotReplace, spareName } from './in-place.ts';

/**
 * Durable once it returns. A copy that is there already is the first one, and stays. It lies beside
 * the file, or in the data directory where nothing can be made beside it. True: it was made now.
 * Throws FILE_WRITE_FAILED.
 */
export async function keepBefore(path: string, owner: Owner | null, dataDir: string): Promise<boolean> {
  const text = await readText(path);
  const copies = [beforePath(path), spareName(dataDir, basename(beforePath(path)))] as const;
  if (text === null) return false;
  for (const copy of copies) if ((await readText(copy)) !== null) return false;
  const mode = (await stat(path)).mode & 0o777;
  const options = { mode, owner: owner ?? undefined };
  try {
    await writeFileAtomic(copies[0], text, options);
  } catch (error) {
    if (!cannotReplace(ensureError(error).cause)) throw error;
    await writeFileAtomic(copies[1], text, options);
  }
  return true;
}

export function beforePath(path: string): string {
  return `${path}.before-regent`;
}
