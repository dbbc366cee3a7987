/**
 * Copies of the configuration files in the data directory, for nodes whose files lie elsewhere: a
 * base backup brings the copies along.
 */
import { join } from 'node:path';
import type { Settings } from '../../core/settings.ts';
import { baseConfName, confName, USUAL_CONF } from '../../pgconf/conf-place.ts';
import { fileMode, readText, writeFileAtomic } from './atomic-file.ts';
import { configPath } from './base-place.ts';
import type { Owner } from './deps.ts';
import { exists } from './file-steps.ts';
import { flattened } from './flatten.ts';

/** Without these PostgreSQL does not know its role. */
export const roleFiles = (settings: Settings): readonly string[] => [confName(settings), baseConfName(settings)];
export const ACCESS_FILES = ['pg_hba.conf', 'pg_ident.conf'] as const;

/** After a start: the files are known to be good. Throws FILE_WRITE_FAILED. */
export async function saveConfigBackups(settings: Settings, owner: Owner | null): Promise<void> {
  const { dataDir } = settings.postgresql;
  for (const name of [...roleFiles(settings), ...ACCESS_FILES]) {
    const path = await configPath(settings, name);
    // Its includes do not come along with the copy.
    const text = name === baseConfName(settings) ? await flattened(path).catch(() => readText(path)) : await readText(path);
    const copy = join(dataDir, `${name}.backup`);
    if (text !== null) await writeFileAtomic(copy, text, { mode: await fileMode(copy, dataDir), owner: owner ?? undefined });
  }
}

/**
 * Puts back what vanished: from its copy, else, where the files lie elsewhere, what initdb or a
 * base backup has left in the data directory. A missing pg_ident.conf becomes an empty one. Null:
 * it is there, or nothing can be put in its place; else its full path. Throws FILE_WRITE_FAILED.
 */
export async function restoreConfigFile(settings: Settings, owner: Owner | null, name: string): Promise<string | null> {
  const { dataDir } = settings.postgresql;
  const path = await configPath(settings, name);
  if (await exists(path)) return null;
  const places = [`${name}.backup`, name, ...(name === confName(settings) ? [USUAL_CONF] : [])];
  let text: string | null = null;
  for (const place of places) text ??= await readText(join(dataDir, place));
  if (name === 'pg_ident.conf') text ??= '';
  if (text === null) return null;
  await writeFileAtomic(path, text, { mode: await fileMode(path, dataDir), owner: owner ?? undefined });
  return path;
}

/** All of them. Returns the full paths of those put back. Throws FILE_WRITE_FAILED. */
export async function restoreConfigFiles(settings: Settings, owner: Owner | null): Promise<string[]> {
  const restored: string[] = [];
  for (const name of [...roleFiles(settings), ...ACCESS_FILES]) {
    const path = await restoreConfigFile(settings, owner, name);
    if (path !== null) restored.push(path);
  }
  return restored;
}
