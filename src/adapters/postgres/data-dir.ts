/**
 * The data directory as a whole: what it is, which of our work was interrupted in it, and how it is
 * removed.
 */
import { chown, mkdir, readdir, realpath, rename, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DataDirState, IncompleteWork } from '../../core/postgres-facts.ts';
import type { Log } from '../../ports/log.ts';
import { codeOf, ensureError, RegentError } from '../../support/errors.ts';
import { readText } from './atomic-file.ts';
import type { Owner } from './deps.ts';
import { isMarkEntry, marksLieInside, markThroughRewind, readMark, removeMark, stagingPath, unpipe, writeMark } from './marks.ts';

/** What this agent puts into the directory for itself; see marks.ts. */
const OWN_PREFIX = 'pgsql_tmp.';
/** What PostgreSQL and the agent put into a data directory; of these nobody else's are lost. */
export const OF_POSTGRES =
  /^(base|global|pg_\w+|PG_VERSION|current_logfiles|log|postgresql(\.\w+)?\.conf(\.backup|\.before-regent)?|pg_(hba|ident)\.conf(\.backup|\.before-regent)?|postmaster\.(pid|opts)|(standby|recovery)\.signal|backup_(label|manifest)(\.old)?|tablespace_map(\.old)?|patroni\.dynamic\.json|\.s\.PGSQL\..*|.*\.postgres\.log(\.1)?|pgsql_tmp.*|\..+\.[0-9a-f]{8}\.new)$/;
/** Of canWrite(), there for a moment. */
const PROBE = /^\.regent-\d+\.probe$/;
const WORKS: readonly IncompleteWork[] = ['bootstrap', 'publication', 'clone', 'rewind'];

export interface DataDirFacts {
  readonly state: DataDirState;
  readonly incompleteWork: IncompleteWork | null;
  readonly major: number | null;
  readonly standbySignal: boolean;
  /** recovery.signal lies there, and no standby.signal. */
  readonly recoverySignal?: true;
  /** Text of backup_label, where there is one. */
  readonly backupLabel?: string;
  /** Of a foreign one: what lies in it, except what this agent put there. */
  readonly entries?: readonly string[];
  /** Why it is inaccessible. */
  readonly reason?: string;
}

/**
 * Must be durable before the work begins: after a crash it is all that tells a half-made directory
 * from a whole one. Throws DATA_DIR_MARK_FAILED.
 */
export function markIncomplete(dataDir: string, work: IncompleteWork, owner: Owner | null = null): Promise<void> {
  return work === 'rewind' ? markThroughRewind(dataDir) : writeMark(dataDir, 'incomplete', `${work}\n`, owner);
}

/** To be called once everything written is durable. */
export async function clearIncomplete(dataDir: string): Promise<void> {
  await unpipe(dataDir);
  await removeMark(dataDir, 'incomplete');
}

/** Never throws: what cannot be read is 'inaccessible'. */
export async function inspectDataDir(dataDir: string): Promise<DataDirFacts> {
  const nothing = { incompleteWork: null, major: null, standbySignal: false };
  try {
    const [incompleteWork, version, control, [standbySignal, recoverySignal], label] = await Promise.all([
      readMarker(dataDir),
      readText(join(dataDir, 'PG_VERSION')),
      exists(join(dataDir, 'global', 'pg_control')),
      Promise.all([exists(join(dataDir, 'standby.signal')), exists(join(dataDir, 'recovery.signal'))]),
      readText(join(dataDir, 'backup_label')),
    ]);
    const major = version === null ? null : parseMajor(version);
    const facts = {
      incompleteWork,
      major,
      standbySignal,
      ...(recoverySignal && !standbySignal ? { recoverySignal: true as const } : {}),
      ...(label === null ? {} : { backupLabel: label }),
    };
    // A whole cluster is what 'publication' speaks of: where there is nothing at all, it speaks of
    // one that was taken away.
    const gone = incompleteWork === 'publication' && major === null && !control && (await emptyOrForeign(dataDir)).state === 'missing';
    if (gone) return { ...nothing, state: 'missing' };
    if (incompleteWork !== null) return { ...facts, state: 'incomplete' };
    if (major !== null && control) return { ...facts, state: 'valid' };
    return { ...facts, ...(await emptyOrForeign(dataDir)) };
  } catch (error) {
    return { ...nothing, state: 'inaccessible', reason: ensureError(error).message };
  }
}

/** Entries of the directory that are not ours and must not be lost. Throws what the system says. */
async function emptyOrForeign(dataDir: string): Promise<Pick<DataDirFacts, 'state' | 'entries'>> {
  try {
    const entries = (await readdir(dataDir)).filter((entry) => !entry.startsWith(OWN_PREFIX) && !PROBE.test(entry)).sort();
    return entries.length === 0 ? { state: 'missing' } : { state: 'foreign', entries };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { state: 'missing' };
    throw error;
  }
}

const NAMED = 3;

/** For PostgresFacts, in words for the log. */
export function dataDirTrouble({ entries, reason }: DataDirFacts): { readonly dataDirTrouble?: string } {
  if (reason !== undefined) return { dataDirTrouble: reason };
  if (entries === undefined) return {};
  const more = entries.length > NAMED ? ` and ${entries.length - NAMED} more` : '';
  // What a cluster never has is the likelier cause.
  const named = [...entries].sort((a, b) => Number(OF_POSTGRES.test(a)) - Number(OF_POSTGRES.test(b)));
  return { dataDirTrouble: `it has ${named.slice(0, NAMED).join(', ')}${more} in it` };
}

async function readMarker(dataDir: string): Promise<IncompleteWork | null> {
  const { texts, pipe } = await readMark(dataDir, 'incomplete');
  if (pipe) return 'rewind';
  const [work, ...others] = new Set(texts.map((text) => WORKS.find((known) => known === text.trim()) ?? 'rewind'));
  // Somebody else wrote it, or it was written twice. After a rewind the directory may hold commits
  // nobody else has: the reading that destroys least.
  return others.length > 0 ? 'rewind' : (work ?? null);
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
 * Empties the data directory, its external WAL directory and its tablespaces: moved to
 * `<dir>.removed` (an older one is replaced), or deleted. What lies on a mount point or below a
 * directory of another's cannot be moved aside and is deleted, with a warning. The marks stay. The
 * caller has made sure that no server runs on it and that nobody needs what it holds.
 */
export async function removeDataDir(dataDir: string, options: RemovalOptions): Promise<void> {
  const places = await placesOf(dataDir, options.major ?? null);
  // Marks within must stay where they are, also where the directory could be moved (a subvolume).
  const inPlace = places.length > 0 && (await marksLieInside(dataDir));
  for (const [i, place] of places.entries()) await putAway(place, options, i === 0 && inPlace);
}

export interface RemovalOptions {
  readonly keepAside: boolean;
  readonly log: Log;
  /**
   * Of the installed programs: where PG_VERSION is gone, it tells which directories of the
   * tablespaces are this cluster's.
   */
  readonly major?: number | null;
}

export interface Place {
  readonly directory: string;
  readonly aside: string;
  /**
   * The directory itself stays, empty: a link leads to it, or its parent may not be ours to create
   * it in.
   */
  readonly stays: boolean;
}

async function putAway(place: Place, options: RemovalOptions, inPlace: boolean): Promise<void> {
  const { directory } = place;
  // A copy that is only deleted must not replace one that was kept on purpose.
  const aside = options.keepAside ? place.aside : `${place.aside}.deleting`;
  const owner = await stat(directory);
  await rm(aside, { recursive: true, force: true });
  const refused = inPlace ? 'it is another file system, or the directory above is not writable' : await movedTo(directory, aside);
  if (refused !== null) {
    if (options.keepAside) options.log.warning(`${directory} cannot be moved aside and is being emptied`, { reason: refused });
    await emptyInPlace(directory);
    // pg_basebackup wants nothing at all in the directory of a tablespace.
    if (!place.stays) await rmdir(directory);
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

/** Null: it is there now. */
function movedTo(directory: string, aside: string): Promise<string | null> {
  return rename(directory, aside).then(
    () => null,
    (error: unknown) => ensureError(error).message,
  );
}

/** All but the marks. */
export async function emptyInPlace(directory: string): Promise<void> {
  for (const entry of await readdir(directory)) {
    if (!isMarkEntry(entry)) await removeEntry(join(directory, entry));
  }
}

/** A directory that may not be entered (lost+found) goes nevertheless, if it is empty. */
async function removeEntry(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    if (codeOf(error) !== 'EACCES') throw error;
    await rmdir(path);
  }
}

/**
 * The data directory and the targets of the links PostgreSQL keeps in it: pg_wal, and the version
 * directory within each tablespace.
 */
export async function placesOf(dataDir: string, otherwise: number | null): Promise<Place[]> {
  const main = await realOrNull(dataDir);
  if (main === null) return [];
  const places: Place[] = [{ directory: main, aside: `${main}.removed`, stays: true }];
  for (const at of [main, stagingPath(main)]) places.push(...(await linkedFrom(at, otherwise)));
  return places;
}

async function linkedFrom(main: string, otherwise: number | null): Promise<Place[]> {
  const places: Place[] = [];
  const wal = await realOrNull(join(main, 'pg_wal'));
  if (wal !== null && wal !== join(main, 'pg_wal')) places.push({ directory: wal, aside: `${wal}.removed`, stays: true });
  const major = parseMajor((await readText(join(main, 'PG_VERSION')).catch(() => null)) ?? '') ?? otherwise;
  const links = await readdir(join(main, 'pg_tblspc')).catch(() => []);
  for (const link of links) {
    const target = await realOrNull(join(main, 'pg_tblspc', link));
    if (target === null) continue;
    // Another cluster may share the tablespace's directory under its own version's name; this
    // version's is ours. It must not stay: pg_basebackup wants the tablespace's directory empty.
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

/**
 * As with Patroni, a program of the user's makes the data directory itself: `mv BACKUP DATA_DIR`
 * would put the backup into one that exists. What cannot be removed (a mount, the target of a link,
 * below a parent of another's) stays, empty.
 */
export async function removeIfEmpty(dataDir: string): Promise<void> {
  await rmdir(dataDir).catch(() => {});
}

/** Creates it if it is missing. Throws DATA_DIR_NOT_CREATED. */
export async function makeDataDirectory(dataDir: string, owner: Owner | null): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    if (owner) await chown(dataDir, owner.uid, owner.gid);
  } catch (error) {
    throw new RegentError('DATA_DIR_NOT_CREATED', `could not create ${dataDir}: ${ensureError(error).message}`, {
      mend: 'create the directory, empty and owned by the user PostgreSQL runs as',
      cause: error,
    });
  }
}
