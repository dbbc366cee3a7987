/**
 * Small files about a data directory, with what nothing in it tells. They lie beside it, if that
 * place is ours to write and on the same file system. A mount (a volume of a container) may come
 * back without what lay beside its mount point. Otherwise they lie inside, where each program has
 * its own demands. initdb and pg_basebackup want an empty directory (staging.ts gives them one). A
 * base backup passes over names that begin with pgsql_tmp, and pg_rewind removes every file that
 * its source does not have. But pg_rewind leaves named pipes alone, so a mark goes through a rewind
 * as a pipe. No process ever opens the pipe, and no server runs while one lies there.
 */
import { lstat, mkdir, open, realpath, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { codeOf, ensureError, RegentError } from '../../support/errors.ts';
import { lastLines, runCommand } from '../../support/exec.ts';
import { readText } from './atomic-file.ts';
import type { Owner } from './deps.ts';
import { syncDirectory } from './file-steps.ts';

/**
 * incomplete: data-dir.ts. restored, strayed, opened-by-hand: directory-mark.ts. fence:
 * fence-mark.ts. base.conf: own-base.ts. made: made-elsewhere.ts. hba, closed-hba: client-gate.ts.
 */
export type MarkName = 'incomplete' | 'restored' | 'strayed' | 'opened-by-hand' | 'fence' | 'base.conf' | 'made' | 'hba' | 'closed-hba';

const NAMES: readonly MarkName[] = [
  'incomplete',
  'restored',
  'strayed',
  'opened-by-hand',
  'fence',
  'base.conf',
  'made',
  'hba',
  'closed-hba',
];
const TEXTS = ['fence', 'base.conf', 'made'] as const;
const PIPE_MS = 5000;
const NOT_OURS: ReadonlySet<string | null> = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOENT', 'ENOTDIR']);

/**
 * Where a mark lies while the directory above is ours; also where every version of Regent before
 * this one has put it.
 */
export function besidePath(dataDir: string, name: MarkName): string {
  return `${bare(dataDir)}.regent-${name}`;
}

export function insidePath(dataDir: string, name: MarkName): string {
  return join(dataDir, `pgsql_tmp.regent-${name}`);
}

const pipePath = (dataDir: string, name: MarkName) => `${insidePath(dataDir, name)}.pipe`;
const bare = (dataDir: string) => dataDir.replace(/(?<=.)\/+$/, '');

/** Entries of the data directory that outlive its emptying. */
const MARK_ENTRIES: ReadonlySet<string> = new Set(NAMES.flatMap((name) => [insidePath('', name), pipePath('', name)]));

/**
 * Where a program that makes a data directory is at work, while marks lie in that itself; see
 * staging.ts.
 */
export const stagingPath = (dataDir: string): string => join(dataDir, 'pgsql_tmp.regent-new');

export const isMarkEntry = (entry: string): boolean => MARK_ENTRIES.has(entry);

/** Inside: then the directory itself cannot be moved either. */
export async function marksLieInside(dataDir: string): Promise<boolean> {
  return (await besidePlace(dataDir)) === null;
}

/**
 * Durable once it returns. Makes the directory above where that is missing. Throws
 * DATA_DIR_MARK_FAILED.
 */
export async function writeMark(dataDir: string, name: MarkName, text: string, owner: Owner | null = null): Promise<void> {
  let path = besidePath(dataDir, name);
  try {
    await makeParents(dataDir, owner);
    path = await markPath(dataDir, name);
    await writeDurably(path, text);
    await removeOthers(dataDir, name, path);
  } catch (error) {
    throw new RegentError('DATA_DIR_MARK_FAILED', `could not write ${path}: ${ensureError(error).message}`, {
      mend: `create ${dataDir}, owned by the user PostgreSQL runs as, or make the directory that holds it writable for that user`,
      cause: error,
    });
  }
}

/** Where a mark is to be written. */
export async function markPath(dataDir: string, name: MarkName): Promise<string> {
  const base = await besidePlace(dataDir);
  return base === null ? insidePath(dataDir, name) : besidePath(base, name);
}

/** Wherever a mark may lie as a file. */
export async function markPaths(dataDir: string, name: MarkName): Promise<readonly string[]> {
  return [...(await bases(dataDir)).map((base) => besidePath(base, name)), insidePath(dataDir, name)];
}

/** What the mark says, in each place where one lies. A pipe says nothing. */
export async function readMark(dataDir: string, name: MarkName): Promise<{ readonly texts: readonly string[]; readonly pipe: boolean }> {
  const paths = await markPaths(dataDir, name);
  const texts = await Promise.all(paths.map(readText));
  return { texts: texts.filter((text) => text !== null), pipe: await isThere(pipePath(dataDir, name)) };
}

export async function hasMark(dataDir: string, name: MarkName): Promise<boolean> {
  const paths = [...(await markPaths(dataDir, name)), pipePath(dataDir, name)];
  return (await Promise.all(paths.map(isThere))).includes(true);
}

/** Durable once it returns. */
export function removeMark(dataDir: string, name: MarkName): Promise<void> {
  return removeOthers(dataDir, name, null);
}

/**
 * Before pg_rewind: what lies inside becomes pipes, and `incomplete` is marked. Durable once it
 * returns. Throws DATA_DIR_MARK_FAILED, and then the marks tell what they told before.
 */
export async function markThroughRewind(dataDir: string): Promise<void> {
  if (!(await marksLieInside(dataDir))) return writeMark(dataDir, 'incomplete', 'rewind\n');
  await makePipe(dataDir, 'incomplete');
  for (const name of ['restored', 'strayed'] as const) if (await isThere(insidePath(dataDir, name))) await makePipe(dataDir, name);
  await removeOthers(dataDir, 'incomplete', pipePath(dataDir, 'incomplete'));
}

/** After pg_rewind, before `incomplete` is cleared: the pipes become files again. */
export async function unpipe(dataDir: string): Promise<void> {
  for (const name of ['restored', 'strayed'] as const) {
    if (await isThere(pipePath(dataDir, name))) await writeMark(dataDir, name, '');
  }
}

/**
 * Runs work that may remove the texts that lie inside, and afterwards puts back each text whose
 * mark is gone.
 */
export async function keepingTexts<T>(dataDir: string, run: () => Promise<T>): Promise<T> {
  const texts = new Map<MarkName, string>();
  for (const name of TEXTS) {
    const text = await readText(insidePath(dataDir, name));
    if (text !== null) texts.set(name, text);
  }
  try {
    return await run();
  } finally {
    for (const [name, text] of texts) if (!(await hasMark(dataDir, name))) await writeMark(dataDir, name, text);
  }
}

async function makePipe(dataDir: string, name: MarkName): Promise<void> {
  const path = pipePath(dataDir, name);
  if (await isThere(path)) return;
  const made = await runCommand('mkfifo', ['-m', '600', path], { timeoutMs: PIPE_MS, env: { LC_ALL: 'C' } }).catch(
    (error: unknown) => error,
  );
  if (!(await isThere(path))) {
    const why = made instanceof Error ? made.message : lastLines((made as { readonly stderr: string }).stderr);
    throw new RegentError('DATA_DIR_MARK_FAILED', `could not make the named pipe ${path}: ${why}`, {
      mend: `make the directory that holds ${dataDir} writable for the user Regent runs as, and not the root of another file system`,
    });
  }
  await syncDirectory(dataDir);
}

/** As the configuration names it, and as it is. */
async function bases(dataDir: string): Promise<string[]> {
  const real = await realpath(dataDir).catch(() => null);
  return real === null || real === bare(dataDir) ? [bare(dataDir)] : [bare(dataDir), real];
}

/** Null: inside. */
async function besidePlace(dataDir: string): Promise<string | null> {
  const own = await stat(dataDir).catch(() => null);
  for (const base of await bases(dataDir)) {
    const parent = await stat(dirname(base)).catch(() => null);
    if (parent !== null && (own === null || own.dev === parent.dev) && (await canWrite(dirname(base)))) return base;
  }
  // Nothing can lie inside yet: the error names the place that would have been right.
  return own === null ? bare(dataDir) : null;
}

/**
 * Tries by writing, because permissions are not the whole truth (a read-only mount, a server's own
 * rules). A full disk is another trouble, which the next write reports.
 */
export async function canWrite(directory: string): Promise<boolean> {
  const probe = join(directory, `.regent-${process.pid}.probe`);
  try {
    await (await open(probe, 'w', 0o600)).close();
    await unlink(probe);
    return true;
  } catch (error) {
    return !NOT_OURS.has(codeOf(error));
  }
}

/** As PostgreSQL's own tools make it. What exists stays as it is. */
async function makeParents(dataDir: string, owner: Owner | null): Promise<void> {
  const parent = dirname(bare(dataDir));
  const first = await mkdir(parent, { recursive: true, mode: 0o755 });
  if (first === undefined || owner === null) return;
  for (let path = parent; ; path = dirname(path)) {
    const directory = await open(path, 'r');
    await directory.chown(owner.uid, owner.gid).finally(() => directory.close());
    if (path === first) return;
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  await syncDirectory(dirname(path));
}

async function removeOthers(dataDir: string, name: MarkName, kept: string | null): Promise<void> {
  const paths = [...(await markPaths(dataDir, name)), pipePath(dataDir, name)];
  for (const path of paths) {
    if (path === kept || !(await isThere(path))) continue;
    await rm(path);
    await syncDirectory(dirname(path));
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return false;
    throw error;
  }
}
