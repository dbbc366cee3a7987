/**
 * Where the WAL of a server that crashed as a primary ends, found without changing anything.
 * pg_rewind finishes crash recovery first, which writes a record of its own: in a directory whose
 * WAL ends before the point where the source left that timeline (a copied disk, a snapshot of an
 * earlier moment or of another member) that record makes the WAL differ from everybody's, at a
 * place where pg_rewind, which goes by numbers, then sees nothing to do.
 */
import { join } from 'node:path';
import { formatLsn, type Lsn, parseLsn, type Timeline } from '../../core/units.ts';
import type { Bounded } from '../../ports/postgres.ts';
import type { Deps } from './deps.ts';
import { binary } from './programs.ts';

/** Where the last whole record begins; null: it cannot be told. */
export async function lastRecord(deps: Deps, timeline: Timeline, checkpointLsn: Lsn, options: Bounded): Promise<Lsn | null> {
  const { settings } = deps;
  const path = join(settings.postgresql.dataDir, 'pg_wal');
  const args = ['--quiet', `--path=${path}`, `--timeline=${timeline}`, `--start=${formatLsn(checkpointLsn)}`];
  const result = await deps
    .run(binary(settings, 'pg_waldump'), args, { ...options, env: { LC_ALL: 'C' } })
    // Some packages leave the program out.
    .catch(() => null);
  return result === null || result.cause !== 'exit' ? null : readLastRecord(result.stderr, checkpointLsn);
}

/**
 * pg_waldump reads to the end and then says so, which is an error to it: `error in WAL record at
 * 0/3027928: invalid record length at 0/3027AC0: …`.
 */
export function readLastRecord(stderr: string, checkpointLsn: Lsn): Lsn | null {
  const match = /error in WAL record at ([0-9A-F]{1,8}\/[0-9A-F]{1,8}): /.exec(stderr);
  if (match === null) return null;
  const lsn = parseLsn(match[1]!);
  return lsn >= checkpointLsn ? lsn : null;
}
