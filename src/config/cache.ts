/**
 * `patroni.dynamic.json` in the data directory: the dynamic configuration as last seen. An agent
 * that starts while etcd is away uses it. Format: docs/dialect.md, "Files". Patroni reads it as
 * well, should the node go back to it.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
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
 * does not, because the data directory, space or permission is missing. Never throws: the next
 * change tries again.
 */
export function writeDynamicCache(dataDir: string, raw: JsonObject): boolean {
  const target = join(dataDir, DYNAMIC_CACHE);
  const temporary = `${target}.new`;
  const text = stringifyDefault(raw);
  try {
    // As PostgreSQL's own files: readable for the group where the directory is.
    const groupReads = (statSync(dataDir).mode & 0o050) === 0o050;
    if (sameText(target, text)) return true;
    rmSync(temporary, { force: true });
    writeWhole(temporary, text, groupReads ? 0o640 : 0o600);
    renameSync(temporary, target);
    return true;
  } catch {
    return false;
  }
}

function sameText(path: string, text: string): boolean {
  try {
    return readFileSync(path, 'utf8') === text;
  } catch {
    return false;
  }
}

function writeWhole(path: string, text: string, mode: number): void {
  const file = openSync(path, 'wx', mode);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
