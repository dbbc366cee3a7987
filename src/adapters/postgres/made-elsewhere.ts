/**
 * What a copy puts outside the data directory: tablespaces, and the WAL directory of the waldir
 * option. pg_basebackup and initdb want these empty. pg_basebackup removes nothing from a
 * tablespace when it fails, and the links that lead there come with the last part of the copy. So
 * the directories that are empty before a copy begins are noted (mark `made`), and the next attempt
 * empties those. A WAL directory also has a note in it, because a person who removes a data
 * directory by hand leaves the WAL directory behind.
 */
import { lstat, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Source } from '../../core/effects.ts';
import type { BinaryOption, Settings } from '../../core/settings.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { codeOf, ensureError } from '../../support/errors.ts';
import { optionArguments } from './binary-options.ts';
import type { Deps } from './deps.ts';
import { readMark, removeMark, writeMark } from './marks.ts';
import { withSource } from './rewind-source.ts';

/** Base backups and pg_rewind pass over such a name. */
const WAL_NOTE = 'pgsql_tmp.regent-wal-of';
const WAL_ENTRY = /^(?:[0-9A-F]{24}(?:\.partial|\.[0-9A-F]{8}\.backup)?|[0-9A-F]{8}\.history|archive_status|summaries|xlogtemp\.\d+)$/;
const LOCATIONS = `SELECT pg_tablespace_location(oid) AS location FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')`;

type Kind = 'tablespace' | 'wal';

/**
 * Before pg_basebackup begins, with everything of an earlier attempt gone. Durable once it returns.
 * Throws DATA_DIR_MARK_FAILED.
 */
export async function noteMade(deps: Deps, source: Source, options: Bounded): Promise<void> {
  const { dataDir, basebackup } = deps.settings.postgresql;
  const wal = walDirectory(basebackup);
  const places: Array<readonly [Kind, string]> = wal === null ? [] : [['wal', wal]];
  for (const location of await tablespaces(deps, source, options)) places.push(['tablespace', mapped(location, basebackup)]);
  const lines: string[] = [];
  for (const [kind, directory] of places) if (await isEmpty(directory)) lines.push(`${kind} ${directory}\n`);
  if (lines.length > 0) await writeMark(dataDir, 'made', lines.join(''), deps.runAs ?? null);
}

/** Empties what the last attempt has made outside the data directory, and nothing else. */
export async function removeMade({ settings, log }: Pick<Deps, 'settings' | 'log'>, major: number): Promise<void> {
  const { dataDir } = settings.postgresql;
  for (const line of (await readMark(dataDir, 'made')).texts.join('').split('\n')) {
    const [, kind, directory] = /^(tablespace|wal) (\/.*)$/.exec(line) ?? [];
    if (directory === undefined) continue;
    const ours = kind === 'wal' ? isWal : (entry: string) => entry.startsWith(`PG_${major}_`);
    const removed = await removeEntries(directory, ours);
    if (removed > 0) log.info(`${directory} is emptied of what an attempt that failed has left there`, { entries: removed });
  }
  await removeMark(dataDir, 'made');
}

/** The copy is whole: what it made elsewhere is no leftover. */
export function keepMade(dataDir: string): Promise<void> {
  return removeMark(dataDir, 'made');
}

/**
 * Empties the WAL directory of the options when it is this member's, left by a data directory that
 * is gone. Nothing in the data directory leads there any more.
 */
export async function removeOldWal({ settings, log }: Pick<Deps, 'settings' | 'log'>, options: readonly BinaryOption[]): Promise<void> {
  const directory = walDirectory(options);
  if (directory === null || (await readNote(directory)) !== noteOf(settings)) return;
  const removed = await removeEntries(directory, isWal);
  if (removed > 0) log.info(`${directory} is emptied: it has the WAL of a data directory that is gone`, { entries: removed });
}

/**
 * Writes the note for a data directory whose WAL lies elsewhere. Where it cannot be written, an
 * operator has to empty that place one day; nothing else depends on it.
 */
export async function noteWalOwner(settings: Settings): Promise<void> {
  const link = join(settings.postgresql.dataDir, 'pg_wal');
  try {
    if (!(await lstat(link)).isSymbolicLink()) return;
    const directory = await realpath(link);
    const note = noteOf(settings);
    if ((await readNote(directory)) !== note) await writeFile(join(directory, WAL_NOTE), note, { mode: 0o600 });
  } catch {
    return;
  }
}

const isWal = (entry: string): boolean => WAL_ENTRY.test(entry) || entry === WAL_NOTE;
const noteOf = ({ local, postgresql }: Settings): string => `${local.scope} ${local.name} ${postgresql.dataDir}\n`;
const readNote = (directory: string): Promise<string | null> => readFile(join(directory, WAL_NOTE), 'utf8').catch(() => null);

function walDirectory(options: readonly BinaryOption[]): string | null {
  const { args } = optionArguments(options, []);
  return args.map((arg) => /^--(?:waldir|xlogdir)=(\/.*)$/.exec(arg)?.[1]).find((path) => path !== undefined) ?? null;
}

/** As --tablespace-mapping says, where it names it. */
function mapped(location: string, options: readonly BinaryOption[]): string {
  for (const arg of optionArguments(options, []).args) {
    const [, from, to] = /^--tablespace-mapping=((?:[^=\\]|\\.)*)=(.*)$/.exec(arg) ?? [];
    if (from !== undefined && to !== undefined && plain(from) === location) return plain(to);
  }
  return location;
}

const plain = (text: string) => text.replace(/\\(.)/g, '$1').replace(/(?<=.)\/+$/, '');

/**
 * [] where the source does not say: nothing can be noted then, and pg_basebackup names the
 * directory in its way.
 */
async function tablespaces(deps: Deps, source: Source, options: Bounded): Promise<string[]> {
  try {
    return await withSource(deps, source, options, async (client) => {
      const { rows } = await client.query<{ location: string }>(LOCATIONS);
      return rows.map(({ location }) => location).filter((location) => location.startsWith('/'));
    });
  } catch (error) {
    deps.log.debug(`${source.name} does not tell its tablespaces: ${ensureError(error).message}`);
    return [];
  }
}

async function isEmpty(directory: string): Promise<boolean> {
  try {
    return (await readdir(directory)).length === 0;
  } catch (error) {
    return codeOf(error) === 'ENOENT';
  }
}

async function removeEntries(directory: string, ours: (entry: string) => boolean): Promise<number> {
  const entries = await readdir(directory).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  });
  const gone = entries.filter(ours);
  for (const entry of gone) await rm(join(directory, entry), { recursive: true, force: true });
  return gone.length;
}
