/**
 * Finds where the WAL of a server that crashed as a primary ends, without changing anything.
 * pg_rewind finishes crash recovery first, which writes a record of its own. That matters where the
 * WAL ends before the point at which the source left that timeline, as on a copied disk or an older
 * snapshot. There the record makes the WAL differ from all others', and pg_rewind, which compares
 * numbers, sees nothing to do.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { formatLsn, type Lsn, parseLsn, type Timeline, toLsn } from '../../core/units.ts';
import type { Bounded } from '../../ports/postgres.ts';
import type { Deps } from './deps.ts';
import { binary } from './programs.ts';
import { segmentName } from './wal-timeline.ts';

export interface WalStart {
  readonly timeline: Timeline;
  /** Where a record begins. */
  readonly checkpointLsn: Lsn;
  readonly segmentBytes: number;
}

/** Where the last whole record begins; null: it cannot be told. */
export async function lastRecord(deps: Deps, start: WalStart, options: Bounded): Promise<Lsn | null> {
  const { settings } = deps;
  const { timeline, checkpointLsn } = start;
  const path = join(settings.postgresql.dataDir, 'pg_wal');
  // pg_waldump waits five seconds for a segment that is not there, as on a disk that was full.
  const end = endOfSegments(await readdir(path).catch(() => []), start);
  if (end === null) return null;
  const range = [`--start=${formatLsn(checkpointLsn)}`, `--end=${formatLsn(end)}`];
  const args = ['--quiet', `--path=${path}`, `--timeline=${timeline}`, ...range];
  const result = await deps
    .run(binary(settings, 'pg_waldump'), args, { ...options, env: { LC_ALL: 'C' } })
    // Some packages leave the program out.
    .catch(() => null);
  return result === null || result.cause !== 'exit' ? null : readLastRecord(result.stderr, checkpointLsn);
}

/**
 * Where the unbroken row of segments ends that begins with the one of the checkpoint; null: that
 * one is not there.
 */
export function endOfSegments(names: readonly string[], { timeline, checkpointLsn, segmentBytes }: WalStart): Lsn | null {
  const size = BigInt(segmentBytes);
  const there = new Set(names);
  const begin = checkpointLsn - (checkpointLsn % size);
  let end = begin;
  while (there.has(segmentName(timeline, toLsn(end + size), segmentBytes))) end += size;
  return end === begin ? null : toLsn(end);
}

/**
 * pg_waldump reads to the end and reports that as an error: `error in WAL record at 0/3027928:
 * invalid record length at 0/3027AC0: …`.
 */
export function readLastRecord(stderr: string, checkpointLsn: Lsn): Lsn | null {
  const match = /error in WAL record at ([0-9A-F]{1,8}\/[0-9A-F]{1,8}): /.exec(stderr);
  if (match === null) return null;
  const lsn = parseLsn(match[1]!);
  return lsn >= checkpointLsn ? lsn : null;
}
