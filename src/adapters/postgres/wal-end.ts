/**
 * Finds where the WAL of a server that crashed as a primary ends, without changing anything.
 * pg_rewind finishes crash recovery first, which writes a record of its own. That matters where the
 * WAL ends before the point at which the source left that timeline, as on a copied disk or an older
 * snapshot. There the record makes the WAL differ from all others', and pg_rewind, which compares
 * numbers, sees nothing to do.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { COMPARE_NO_PROGRAM, COMPARE_UNKNOWN } from '../../core/rewind-prospects.ts';
import { formatLsn, type Lsn, parseLsn, type Timeline, toLsn } from '../../core/units.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { codeOf, ensureError, RegentError } from '../../support/errors.ts';
import { lastLines, type RunResult } from '../../support/exec.ts';
import type { Deps } from './deps.ts';
import { binary } from './programs.ts';
import { segmentName } from './wal-timeline.ts';

export interface WalStart {
  readonly timeline: Timeline;
  /** Where a record begins. */
  readonly checkpointLsn: Lsn;
  readonly segmentBytes: number;
}

/**
 * Where the last whole record begins; null: the WAL here does not tell, however often it is read.
 * Throws COMPARE_NO_PROGRAM where pg_waldump is not there, and COMPARE_UNKNOWN where the look
 * itself failed, which says nothing of the WAL.
 */
export async function lastRecord(deps: Deps, start: WalStart, options: Bounded): Promise<Lsn | null> {
  const { settings } = deps;
  const { timeline, checkpointLsn } = start;
  const path = join(settings.postgresql.dataDir, 'pg_wal');
  const names = await readdir(path).catch((error: unknown) => {
    throw unknown(`${path} could not be read: ${ensureError(error).message}`, error);
  });
  // pg_waldump waits five seconds for a segment that is not there, as on a disk that was full.
  const end = endOfSegments(names, start);
  if (end === null) return null;
  const range = [`--start=${formatLsn(checkpointLsn)}`, `--end=${formatLsn(end)}`];
  const args = ['--quiet', `--path=${path}`, `--timeline=${timeline}`, ...range];
  const program = binary(settings, 'pg_waldump');
  const result = await deps.run(program, args, { ...options, env: { LC_ALL: 'C' } }).catch((error: unknown) => {
    throw notStarted(ensureError(error));
  });
  if (hasAnswered(result)) return readLastRecord(result.stderr, checkpointLsn);
  const how = result.cause === 'exit' ? (result.signal ?? `exit code ${result.code}`) : result.cause;
  throw unknown(`pg_waldump did not read the WAL to its end (${how}): ${lastLines(result.stderr, 2)}`);
}

/**
 * What pg_waldump says of the WAL itself. Any other failure is one of the disk, of memory or of
 * rights, and passes or can be mended.
 */
const OF_THE_WAL = /error in WAL record at|could not find a valid record|No such file or directory|read \d+ of \d+|WAL segment size/;

function hasAnswered({ cause, code, stderr }: Pick<RunResult, 'cause' | 'code' | 'stderr'>): boolean {
  return cause === 'exit' && (code === 0 || (code !== null && OF_THE_WAL.test(stderr)));
}

function notStarted(error: Error): RegentError {
  if (codeOf(error.cause) !== 'ENOENT') return unknown(`pg_waldump could not be run: ${error.message}`, error);
  const mend = 'install pg_waldump of this major (some packages keep it apart from the server), or say with postgresql.bin_dir where it is';
  return new RegentError(COMPARE_NO_PROGRAM, `there is no pg_waldump: ${error.message}`, { cause: error, mend });
}

function unknown(message: string, cause?: unknown): RegentError {
  return new RegentError(COMPARE_UNKNOWN, message, {
    cause,
    policy: 'transient',
    mend: 'Regent tries again by itself; look at the cause if that does not help',
  });
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
