/**
 * The data directory as a whole: what it is, whether work of ours was interrupted in it, and how it is put out of the way.
 */
import { chown, mkdir, open, readdir, readFile, realpath, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DataDirState, IncompleteWork } from '../../core/postgres-facts.ts';
import type { Log } from '../../ports/log.ts';
import { codeOf, ensureError, RegentError } from '../../support/errors.ts';

const WORKS: readonly IncompleteWork[] = ['bootstrap', 'publication', 'clone', 'rewind'];

export interface DataDirFacts {
  readonly state: DataDirState;
  readonly incompleteWork: IncompleteWork | null;
  readonly major: number | null;
  readonly standbySignal: boolean;
  /** Text of backup_label, where there is one. */
  readonly backupLabel?: string;
}

/** Beside the directory, because initdb and pg_basebackup want it empty and pg_rewind removes what its source does not have. */
export function markerPath(dataDir: string): string {
  return `${dataDir.replace(/\/+$/, '')}.regent-incomplete`;
}

/** Must be durable before the work begins: after a crash it is all that tells a half-made directory from a whole one. */
export async function markIncomplete(dataDir: string, work: IncompleteWork): Promise<void> {
  const path = markerPath(dataDir);
  try {
    const file = await open(`${path}.new`, 'w', 0o600);
    try {
      await file.writeFile(`${work}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.new`, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    throw new RegentError('DATA_DIR_MARK_FAILED', `could not write ${path}: ${ensureError(error).message}`, {
      mend: `the directory that holds postgresql.data_dir must be writable; put data_dir one level below the mount point`,
      cause: error,
    });
  }
}

/** To be called once everything written is durable. */
export async function clearIncomplete(dataDir: string): Promise<void> {
  const path = markerPath(dataDir);
  try {
    await unlink(path);
    await syncDirectory(dirname(path));
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Never throws: what cannot be read is 'inaccessible'. */
export async function inspectDataDir(dataDir: string): Promise<DataDirFacts> {
  const nothing = { incompleteWork: null, major: null, standbySignal: false };
  try {
    const [incompleteWork, version, control, signals, label] = await Promise.all([
      readMarker(dataDir),
      readOrNull(join(dataDir, 'PG_VERSION')),
      exists(join(dataDir, 'global', 'pg_control')),
      Promise.all([exists(join(dataDir, 'standby.signal')), exists(join(dataDir, 'recovery.signal'))]),
      readOrNull(join(dataDir, 'backup_label')),
    ]);
    const major = version === null ? null : parseMajor(version);
    const facts = { incompleteWork, major, standbySignal: signals.includes(true), ...(label === null ? {} : { backupLabel: label }) };
    // A whole cluster is what 'publication' speaks of: where there is nothing at all, it speaks of one that was taken away.
    const gone = incompleteWork === 'publication' && major === null && !control && (await emptyOrForeign(dataDir)) === 'missing';
    if (gone) return { ...nothing, state: 'missing' };
    if (incompleteWork !== null) return { ...facts, state: 'incomplete' };
    if (major !== null && control) return { ...facts, state: 'valid' };
    return { ...facts, state: await emptyOrForeign(dataDir) };
  } catch {
    return { ...nothing, state: 'inaccessible' };
  }
}

async function emptyOrForeign(dataDir: string): Promise<DataDirState> {
  try {
    const entries = await readdir(dataDir);
    // lost+found alone makes it foreign: initdb and pg_basebackup refuse a bare mount point as well.
    return entries.length === 0 ? 'missing' : 'foreign';
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 'missing';
    throw error;
  }
}

async function readMarker(dataDir: string): Promise<IncompleteWork | null> {
  const text = await readOrNull(markerPath(dataDir));
  if (text === null) return null;
  // Written by somebody else, then. After a rewind the directory may hold commits nobody else has: the reading that destroys least.
  return WORKS.find((work) => work === text.trim()) ?? 'rewind';
}

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null;
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return false;
    throw error;
  }
}

/** `15` of PG_VERSION's `15\n`; null for anything else. */
export function parseMajor(text: string): number | null {
  const match = /^(\d{2})\s*$/.exec(text);
  return match ? Number(match[1]) : null;
}

/**
 * Empties the data directory, its external WAL directory and its tablespaces: moved to `<dir>.removed` (an older one is replaced), or deleted.
 * What lies on a mount point cannot be moved aside and is deleted, with a warning.
 * The caller has made sure that no server runs on it and that nobody needs what it holds.
 */
export async function removeDataDir(dataDir: string, options: { readonly keepAside: boolean; readonly log: Log }): Promise<void> {
  const places = await placesOf(dataDir);
  for (const place of places) await putAway(place, options);
}

interface Place {
  readonly directory: string;
  readonly aside: string;
  /** The directory itself stays, empty: a link leads to it, or its parent may not be ours to create it in. */
  readonly stays: boolean;
}

async function putAway(place: Place, options: { readonly keepAside: boolean; readonly log: Log }): Promise<void> {
  const { directory } = place;
  // What is only deleted must not replace a copy that was kept on purpose.
  const aside = options.keepAside ? place.aside : `${place.aside}.deleting`;
  const owner = await stat(directory);
  await rm(aside, { recursive: true, force: true });
  try {
    await rename(directory, aside);
  } catch (error) {
    if (options.keepAside) {
      options.log.warning(`${directory} cannot be moved aside and is being emptied`, { reason: ensureError(error).message });
    }
    for (const entry of await readdir(directory)) await rm(join(directory, entry), { recursive: true, force: true });
    return;
  }
  if (place.stays) {
    await mkdir(directory, { mode: owner.mode & 0o777 });
    const now = await stat(directory);
    // Differs only where the caller is not the user PostgreSQL runs as.
    if (now.uid !== owner.uid || now.gid !== owner.gid) await chown(directory, owner.uid, owner.gid);
  }
  if (!options.keepAside) await rm(aside, { recursive: true, force: true });
}

/** The data directory and the targets of the links PostgreSQL keeps in it: pg_wal, and the version directory within each tablespace. */
async function placesOf(dataDir: string): Promise<Place[]> {
  const main = await realOrNull(dataDir);
  if (main === null) return [];
  const places: Place[] = [{ directory: main, aside: `${main}.removed`, stays: true }];
  const wal = await realOrNull(join(main, 'pg_wal'));
  if (wal !== null && wal !== join(main, 'pg_wal')) places.push({ directory: wal, aside: `${wal}.removed`, stays: true });
  const major = parseMajor((await readOrNull(join(main, 'PG_VERSION')).catch(() => null)) ?? '');
  const links = await readdir(join(main, 'pg_tblspc')).catch(() => []);
  for (const link of links) {
    const target = await realOrNull(join(main, 'pg_tblspc', link));
    if (target === null) continue;
    // Another cluster may share the tablespace's directory under its own version's name; this version's is ours. It must not stay:
    // pg_basebackup wants the tablespace's directory empty.
    for (const version of await readdir(target)) {
      if (version.startsWith(`PG_${major}_`)) places.push({ directory: join(target, version), aside: `${target}.removed`, stays: false });
    }
  }
  return places;
}

async function realOrNull(path: string): Promise<string | null> {
  try {
    return await realpath(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}
