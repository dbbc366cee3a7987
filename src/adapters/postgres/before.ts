/** What somebody else wrote is kept before it is overwritten for the first time. */
import { stat } from 'node:fs/promises';
import { readText, writeFileAtomic } from './atomic-file.ts';
import type { Owner } from './deps.ts';

/** Durable once it returns. A copy that is there already is the first one, and stays. True: it was made now. Throws FILE_WRITE_FAILED. */
export async function keepBefore(path: string, owner: Owner | null): Promise<boolean> {
  const text = await readText(path);
  const copy = beforePath(path);
  if (text === null || (await readText(copy)) !== null) return false;
  const mode = (await stat(path)).mode & 0o777;
  await writeFileAtomic(copy, text, { mode, owner: owner ?? undefined });
  return true;
}

export function beforePath(path: string): string {
  return `${path}.before-regent`;
}
