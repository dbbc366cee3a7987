/**
 * initdb and pg_basebackup want an empty directory. Where marks lie inside the data directory, they
 * work in a directory within it; afterwards what they have made moves up. A program of the user's
 * knows the data directory only, and gets it empty. Its mark comes back as soon as the program has
 * put something there.
 */
import { chmod, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { IncompleteWork } from '../../core/postgres-facts.ts';
import type { Clock } from '../../ports/clock.ts';
import { makeDataDirectory, markIncomplete } from './data-dir.ts';
import type { Owner } from './deps.ts';
import { syncDirectory } from './file-steps.ts';
import { isMarkEntry, keepingTexts, marksLieInside, stagingPath } from './marks.ts';

const LOOK_MS = 100;
/** PostgreSQL refuses a data directory that lets others in further. */
const OTHERS_BITS = 0o027;

/** The data directory is there and empty but for marks. The answer is empty as well. */
export async function workDirectory(dataDir: string, owner: Owner | null): Promise<string> {
  if (!(await marksLieInside(dataDir))) return dataDir;
  await makeDataDirectory(stagingPath(dataDir), owner);
  return stagingPath(dataDir);
}

/**
 * After the program has ended well. Durable once it returns; interrupted, it leaves a directory
 * that is still marked.
 */
export async function settleWork(dataDir: string): Promise<void> {
  const staging = stagingPath(dataDir);
  const made = await stat(staging).catch(() => null);
  if (made !== null) {
    for (const entry of await readdir(staging)) await rename(join(staging, entry), join(dataDir, entry));
    await rmdir(staging);
    await chmod(dataDir, made.mode & 0o777);
    return await syncDirectory(dataDir);
  }
  // A directory that somebody made beforehand is open to the world mostly.
  const { mode } = (await stat(dataDir).catch(() => null)) ?? { mode: 0o700 };
  if ((mode & OTHERS_BITS) !== 0 && (mode & 0o777) !== 0o750) await chmod(dataDir, 0o700);
}

/**
 * Runs a program that wants the whole data directory for itself. It is marked again at the end in
 * any case.
 */
export async function lendDirectory<T>(
  dataDir: string,
  work: IncompleteWork,
  clock: Pick<Clock, 'timer'>,
  run: () => Promise<T>,
): Promise<T> {
  if (!(await marksLieInside(dataDir))) return await run();
  return await keepingTexts(dataDir, async () => {
    for (const entry of await readdir(dataDir)) if (isMarkEntry(entry)) await rm(join(dataDir, entry));
    return await watched(dataDir, work, clock, run);
  });
}

async function watched<T>(dataDir: string, work: IncompleteWork, clock: Pick<Clock, 'timer'>, run: () => Promise<T>): Promise<T> {
  let over = false;
  let marking = Promise.resolve();
  const watch = () => {
    if (over) return;
    marking = markBegun(dataDir, work).catch(() => {});
    void marking.then(() => {
      if (!over) clock.timer(LOOK_MS, watch);
    });
  };
  clock.timer(LOOK_MS, watch);
  try {
    return await run();
  } finally {
    over = true;
    await marking;
    await markIncomplete(dataDir, work);
  }
}

async function markBegun(dataDir: string, work: IncompleteWork): Promise<void> {
  const entries = await readdir(dataDir);
  if (entries.length > 0 && !entries.some(isMarkEntry)) await markIncomplete(dataDir, work);
}
