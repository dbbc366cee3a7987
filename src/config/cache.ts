/**
 * `patroni.dynamic.json` in the data directory: the dynamic configuration as last seen. An agent
 * that starts while etcd is away uses it. Format: docs/dialect.md, "Files". Patroni reads it as
 * well, should the node go back to it.
 */
import { readFileSync } from 'node:fs';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DYNAMIC_CACHE } from '../ports/settings.ts';
import { isJsonObject, parseJson, stringifyDefault } from '../support/big-json.ts';
import type { JsonObject } from '../support/json.ts';

/**
 * Null when there is none, or none that can be read: it is a convenience, and never a reason not to
 * start.
 */
export function readDynamicCache(dataDir: string): JsonObject | null {
  try {
    const value = parseJson(readFileSync(join(dataDir, DYNAMIC_CACHE), 'utf8'));
    return isJsonObject(value) && Object.keys(value).length > 0 ? value : null;
  } catch {
    return null;
  }
}

/**
 * Replaces the file as a whole or not at all. True when the file holds `raw` now. False when it
 * does not, because the data directory, space or permission is missing. Never rejects: the next
 * change tries again. Not two at a time. PostgreSQL's disk may need seconds for it, and the agent
 * renews its lease meanwhile.
 */
export async function writeDynamicCache(dataDir: string, raw: JsonObject): Promise<boolean> {
  const target = join(dataDir, DYNAMIC_CACHE);
  const temporary = `${target}.new`;
  const text = stringifyDefault(raw);
  try {
    // As PostgreSQL's own files: readable for the group where the directory is.
    const groupReads = ((await stat(dataDir)).mode & 0o050) === 0o050;
    if ((await readFile(target, 'utf8').catch(() => null)) === text) return true;
    await rm(temporary, { force: true });
    await writeWhole(temporary, text, groupReads ? 0o640 : 0o600);
    await rename(temporary, target);
    return true;
  } catch {
    return false;
  }
}

async function writeWhole(path: string, text: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}
