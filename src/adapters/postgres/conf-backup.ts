/** Copies of the configuration files in the data directory, for nodes whose files lie elsewhere: a base backup brings the copies along. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Settings } from '../../core/settings.ts';
import { fileMode, readText, writeFileAtomic } from './atomic-file.ts';
import type { Owner } from './deps.ts';

const FILES = ['postgresql.conf', 'postgresql.base.conf', 'pg_hba.conf', 'pg_ident.conf'];

/** After a start: the files are known to be good. Throws FILE_WRITE_FAILED. */
export async function saveConfigBackups(settings: Settings, owner: Owner | null): Promise<void> {
  const { configDir, dataDir } = settings.postgresql;
  for (const name of FILES) {
    const text = await readText(join(configDir, name));
    const copy = join(dataDir, `${name}.backup`);
    if (text !== null) await writeFileAtomic(copy, text, { mode: await fileMode(copy, dataDir), owner: owner ?? undefined });
  }
}

/**
 * Puts back what vanished: from its copy, else, where the files lie elsewhere, what initdb or a base backup has left in the data directory.
 * A missing pg_ident.conf becomes an empty one. Returns the names put back.
 */
export async function restoreConfigFiles(settings: Settings, owner: Owner | null): Promise<string[]> {
  const { configDir, dataDir } = settings.postgresql;
  const restored: string[] = [];
  for (const name of FILES) {
    const path = join(configDir, name);
    if (await exists(path)) continue;
    const copy = (await readText(join(dataDir, `${name}.backup`))) ?? (await readText(join(dataDir, name)));
    const text = copy ?? (name === 'pg_ident.conf' ? '' : null);
    if (text === null) continue;
    await writeFileAtomic(path, text, { mode: await fileMode(path, dataDir), owner: owner ?? undefined });
    restored.push(name);
  }
  return restored;
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
