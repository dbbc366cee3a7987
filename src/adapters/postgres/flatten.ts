/**
 * Makes one configuration file of several: includes are put in where they are named, so that the
 * file can be moved.
 */
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { parseConfLine } from '../../pgconf/guc.ts';
import { codeOf, ensureError, RegentError } from '../../support/errors.ts';
import { textOf } from './file-text.ts';

/** PostgreSQL's own limit (CONF_FILE_MAX_DEPTH). */
const MAX_DEPTH = 10;
const INCLUDES: ReadonlySet<string> = new Set(['include', 'include_if_exists', 'include_dir']);
/** Where one server's files lie. Regent says it on the command line. */
const PLACES: ReadonlySet<string> = new Set(['config_file', 'data_directory', 'hba_file', 'ident_file']);

/** Files of a running server; a second one on this machine would use the same. */
const RUN_PLACES: ReadonlySet<string> = new Set(['external_pid_file', 'stats_temp_directory']);

/**
 * The text of a configuration file with its includes, places commented out. Throws
 * CONFIG_UNREADABLE.
 */
export async function flattened(path: string): Promise<string> {
  return (await linesOf(path, 0)).join('\n');
}

async function linesOf(path: string, depth: number): Promise<string[]> {
  if (depth > MAX_DEPTH) throw unreadable(path, 'it is included too deep, or includes itself');
  const bytes = await readFile(path).catch((error: unknown) => {
    throw unreadable(path, ensureError(error).message, error);
  });
  const result: string[] = [];
  for (const line of textOf(bytes).replace(/\n$/, '').split('\n')) {
    const guc = parseConfLine(line);
    if (guc !== null && INCLUDES.has(guc.name)) {
      result.push(`# ${line.trim()}`);
      for (const included of await includedBy(guc, dirname(path))) result.push(...(await linesOf(included, depth + 1)));
    } else result.push(guc !== null && PLACES.has(guc.name) ? `# ${line}` : line);
  }
  return result;
}

async function includedBy(guc: { readonly name: string; readonly value: string }, directory: string): Promise<string[]> {
  const path = resolve(directory, guc.value);
  if (guc.name === 'include') return [path];
  if (guc.name === 'include_if_exists') {
    const there = await readFile(path).then(
      () => true,
      (error: unknown) => codeOf(error) !== 'ENOENT',
    );
    return there ? [path] : [];
  }
  const names = await readdir(path).catch((error: unknown) => {
    throw unreadable(path, ensureError(error).message, error);
  });
  return names
    .filter((name) => name.endsWith('.conf') && !name.startsWith('.'))
    .sort()
    .map((name) => join(path, name));
}

function unreadable(path: string, reason: string, cause?: unknown): RegentError {
  return new RegentError('CONFIG_UNREADABLE', `the configuration file ${path} could not be read: ${reason}`, {
    mend: 'it must be readable by the user Regent runs as',
    cause,
  });
}

/**
 * Makes the base configuration of another node fit this one: without the places of that node's
 * files, and without includes that lead nowhere here. `exists` judges a path that is relative to
 * the new place of the file. Returns what was taken out as well.
 */
export async function disowned(
  text: string,
  exists: (path: string) => Promise<boolean>,
): Promise<{ readonly text: string; readonly removed: readonly string[] }> {
  const removed: string[] = [];
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    const guc = parseConfLine(line);
    const place = guc !== null && (PLACES.has(guc.name) || RUN_PLACES.has(guc.name));
    const lost = guc !== null && INCLUDES.has(guc.name) && !(await exists(guc.value));
    if (guc !== null && (place || lost)) {
      removed.push(guc.name);
      lines.push(`# ${line}`);
    } else lines.push(line);
  }
  return { text: lines.join('\n'), removed };
}

/**
 * Makes pg_hba.conf or pg_ident.conf fit another directory: names relative to its own become full
 * paths.
 */
export function movedAccessFile(text: string, directory: string): string {
  const full = (path: string) => resolve(directory, path);
  return text
    .split('\n')
    .map((line) => {
      if (/^\s*#/.test(line)) return line;
      const included = /^(\s*include(?:_if_exists|_dir)?\s+)("?)([^"\s]+)\2(.*)$/.exec(line);
      if (included) return `${included[1]}"${full(included[3]!)}"${included[4]}`;
      return line.replace(/(^|[\s,])@([^\s,"]+)/g, (_, before: string, path: string) => `${before}@${full(path)}`);
    })
    .join('\n');
}
