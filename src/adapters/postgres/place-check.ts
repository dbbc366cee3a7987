/**
 * Checks whether a data directory can be removed and made again, before anything is stopped or
 * removed. Reports troubles of its place when the agent starts.
 */
import { lstat, readdir, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Settings } from '../../core/settings.ts';
import { codeOf, ensureError, RegentError } from '../../support/errors.ts';
import { ControlDataReader } from './control-data.ts';
import { inspectDataDir, OF_POSTGRES, placesOf } from './data-dir.ts';
import type { Deps, Owner } from './deps.ts';
import { exists } from './file-steps.ts';
import { canWrite, isMarkEntry, marksLieInside } from './marks.ts';
import { binary, programMajor } from './programs.ts';

const CONTROL_MS = 5000;
/** How deep to look for another cluster: below data_dir /var/lib/postgresql lies 15/main. */
const DEPTH = 3;
const MOST_DIRECTORIES = 5000;

/**
 * Throws unless the directory can be removed and a copy be made in its place. So nothing is removed
 * that could not be made again. `cluster`: the system identifier that etcd has. Codes:
 * DATA_DIR_OF_OTHERS, DATA_DIR_IN_THE_WAY, DATA_DIR_UNUSABLE, PG_PROGRAM_UNUSABLE.
 */
export async function checkRemake(deps: Deps, cluster: string | null): Promise<void> {
  const { dataDir } = deps.settings.postgresql;
  const { state, reason } = await inspectDataDir(dataDir);
  if (state === 'inaccessible') {
    throw new RegentError('DATA_DIR_UNUSABLE', `${dataDir} cannot be read: ${reason}`, {
      mend: 'correct postgresql.data_dir, or the rights on it',
    });
  }
  const major = await programMajor(deps);
  if (state === 'missing') return refuseUncreatable(dataDir);
  if (state === 'foreign') await refuseOthers(deps, cluster);
  // Where it can be moved away as a whole, nothing in it is in the way.
  if (await marksLieInside(dataDir)) await refuseImmovable(dataDir);
  for (const { directory } of (await placesOf(dataDir, major)).slice(1)) await refuseUnwritable(directory);
}

/** Whether all entries of a directory that is no cluster are the remains of one. */
export function isRemains(entries: readonly string[]): boolean {
  return entries.every((entry) => OF_POSTGRES.test(entry) || entry === 'lost+found');
}

async function refuseOthers(deps: Deps, cluster: string | null): Promise<void> {
  const { dataDir } = deps.settings.postgresql;
  const control = await new ControlDataReader()
    .read(dataDir, binary(deps.settings, 'pg_controldata'), deps.run, CONTROL_MS)
    .catch(() => null);
  const whose =
    control !== null && control.systemIdentifier !== cluster ? `global/pg_control of system identifier ${control.systemIdentifier}` : null;
  const found = whose ?? (await clusterWithin(dataDir));
  if (found === null) return;
  throw new RegentError('DATA_DIR_OF_OTHERS', `${dataDir} holds another cluster: ${found}`, {
    mend: 'correct postgresql.data_dir, or move that cluster away',
  });
}

/** Path of a cluster's directory below this one; null: none was found. */
async function clusterWithin(dataDir: string): Promise<string | null> {
  let level = [''];
  let seen = 0;
  for (let depth = 0; depth < DEPTH; depth += 1) {
    const next: string[] = [];
    for (const parent of level) {
      const entries = await readdir(join(dataDir, parent), { withFileTypes: true }).catch(() => []);
      for (const entry of entries) {
        seen += 1;
        if (seen > MOST_DIRECTORIES) return null;
        if (!entry.isDirectory()) continue;
        const path = join(parent, entry.name);
        if (await exists(join(dataDir, path, 'global', 'pg_control'))) return path;
        next.push(path);
      }
    }
    level = next;
  }
  return null;
}

/**
 * An entry that cannot be removed or moved keeps every program from making a data directory there:
 * another user's lost+found, .snapshot, a mount.
 */
async function refuseImmovable(dataDir: string): Promise<void> {
  await refuseUnwritable(dataDir);
  const { dev } = await stat(dataDir);
  for (const entry of await readdir(dataDir)) {
    if (isMarkEntry(entry)) continue;
    const path = join(dataDir, entry);
    const is = await lstat(path);
    if (!is.isDirectory()) continue;
    if (is.dev !== dev) throw inTheWay(dataDir, entry, 'it is another file system');
    if (is.uid === process.geteuid?.() || (await canBeEmptied(path))) continue;
    // An empty one can be removed even so, and nobody misses it.
    const refused = await rmdir(path).then(() => null, codeOf);
    if (refused !== null) throw inTheWay(dataDir, entry, `it belongs to user ${is.uid}`);
  }
}

async function canBeEmptied(directory: string): Promise<boolean> {
  return (
    (await canWrite(directory)) &&
    (await readdir(directory).then(
      () => true,
      () => false,
    ))
  );
}

async function refuseUnwritable(directory: string): Promise<void> {
  if (await canWrite(directory)) return;
  throw new RegentError('DATA_DIR_UNUSABLE', `${directory} cannot be emptied and filled again: it is not writable`, {
    mend: `give ${directory} to the user PostgreSQL runs as`,
  });
}

function inTheWay(dataDir: string, entry: string, why: string): RegentError {
  return new RegentError('DATA_DIR_IN_THE_WAY', `${entry} in ${dataDir} cannot be removed (${why})`, {
    mend: `remove ${join(dataDir, entry)}, or put postgresql.data_dir one level below ${dataDir}`,
  });
}

async function refuseUncreatable(dataDir: string): Promise<void> {
  const trouble = await placeTrouble(dataDir, null);
  if (trouble !== null) throw new RegentError('DATA_DIR_UNUSABLE', trouble.message, { mend: trouble.mend });
}

export interface PlaceTrouble {
  readonly message: string;
  readonly mend: string;
}

/**
 * Why PostgreSQL or this agent cannot work in this place, whatever comes; null: nothing is known.
 * `owner`: PostgreSQL's user, where it is not the agent's own.
 */
export async function placeTrouble(dataDir: string, owner: Owner | null): Promise<PlaceTrouble | null> {
  const uid = owner?.uid ?? process.geteuid?.() ?? 0;
  const mend = `create ${dataDir}, owned by the user PostgreSQL runs as, mode 0700`;
  try {
    const is = await stat(dataDir);
    if (!is.isDirectory()) return { message: `postgresql.data_dir ${dataDir} is not a directory`, mend };
    if (is.uid !== uid)
      return { message: `${dataDir} belongs to user ${is.uid}, and PostgreSQL runs as user ${uid}: it refuses such a directory`, mend };
    return (await canWrite(dataDir)) ? null : { message: `${dataDir} is not writable`, mend };
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') return { message: `${dataDir} cannot be used: ${ensureError(error).message}`, mend };
  }
  let path = dirname(dataDir);
  while (!(await exists(path)) && path !== dirname(path)) path = dirname(path);
  return (await canWrite(path)) ? null : { message: `${dataDir} does not exist and cannot be made: ${path} is not writable`, mend };
}

/** Said once, when the agent starts. */
export async function sayTroubles({
  settings,
  log,
  owner,
  socket,
}: {
  readonly settings: Settings;
  readonly log: Deps['log'];
  readonly owner: Owner | null;
  readonly socket: string | null;
}): Promise<void> {
  const trouble = await placeTrouble(settings.postgresql.dataDir, owner);
  if (trouble !== null) log.error(`${trouble.message}; ${trouble.mend}`);
  if (socket !== null) log.warning(socket);
}
