/** Removes the data directory, with what lies outside of it and the marks that are about it. */
import { clearIncomplete, inspectDataDir, markIncomplete, removeDataDir } from './data-dir.ts';
import { clearMarks } from './directory-mark.ts';
import { depsOf, type LocalServer } from './local-server.ts';
import { removeMade } from './made-elsewhere.ts';
import { keepOwnBase } from './own-base.ts';
import { isRemains } from './place-check.ts';
import { programMajor } from './programs.ts';

/** The caller has made sure that nobody works in it. */
export async function removeDirectory(server: LocalServer, keepAside: boolean): Promise<void> {
  const { settings, log, runAs } = server;
  const { dataDir } = settings.postgresql;
  const { state, incompleteWork, entries, ...directory } = await inspectDataDir(dataDir);
  const major = directory.major ?? (await programMajor(depsOf(server)).catch(() => null));
  await keepOwnBase(settings, runAs);
  // Before anything is removed: if the mark cannot be written, nothing could be made here either.
  // An interrupted removal leaves a directory that is not whole.
  if (state !== 'missing') await markIncomplete(dataDir, 'clone', runAs);
  const strange = state === 'foreign' && !isRemains(entries ?? []);
  await removeDataDir(dataDir, { keepAside: keepAside || strange || incompleteWork === 'publication', log, major });
  if (major !== null) await removeMade({ settings, log }, major);
  // The work that was interrupted in it went with it.
  await clearIncomplete(dataDir);
  await clearMarks(dataDir);
}
