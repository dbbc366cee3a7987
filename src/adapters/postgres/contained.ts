/**
 * Whether all WAL in a crashed primary's directory is in the history of another server. Then it can
 * follow that server as it is.
 */
import { compareHistories, stoppedPosition } from '../../core/divergence.ts';
import type { Source } from '../../core/effects.ts';
import type { SourceHistory, TimelineStart } from '../../core/postgres-facts.ts';
import { formatLsn } from '../../core/units.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { RegentError } from '../../support/errors.ts';
import type { ControlData } from './control-data.ts';
import type { Deps } from './deps.ts';
import { LocalHistory } from './history-file.ts';
import { beStandby } from './signal-files.ts';
import { askFingerprint, readFingerprint } from './timeline-fingerprint.ts';
import { archiveReadySegments } from './wal-archive.ts';
import { lastRecord } from './wal-end.ts';

/** A data directory that may follow as it is. */
export interface Crashed {
  readonly major: number;
  readonly control: ControlData;
}

/**
 * True: the directory is a standby's now. What waits for its archiver is archived before that: a
 * standby (with archive_mode=on) does not archive, and recycles it. Throws what isContained throws;
 * the directory is no standby's then.
 */
export async function followAsItIs(
  deps: Deps,
  source: Source,
  { major, control }: Crashed,
  history: SourceHistory,
  timed: () => Bounded,
): Promise<boolean> {
  if (!(await isContained(deps, source, control, history, timed()))) return false;
  await archiveReadySegments(deps, major, timed());
  if (timed().signal?.aborted)
    throw new RegentError('REWIND_CALLED_OFF', 'called off while WAL was being archived', { policy: 'transient' });
  await beStandby(deps);
  return true;
}

/**
 * Handles a primary that crashed, or a copy of one's disk: pg_controldata does not tell where its
 * WAL ends. When its last record lies in the source's history there is nothing to rewind; it starts
 * as a standby as it is. Throws REWIND_BLIND when the source has other records there,
 * and what lastRecord throws.
 */
async function isContained(deps: Deps, source: Source, control: ControlData, history: SourceHistory, options: Bounded): Promise<boolean> {
  const position = stoppedPosition(control);
  const { timeline } = position;
  if (!position.open || timeline !== control.timeline || timeline >= history.timeline) return false;
  if (control.systemIdentifier !== history.systemIdentifier) return false;
  const last = await lastRecord(deps, { timeline, checkpointLsn: control.checkpointLsn, segmentBytes: control.walSegmentBytes }, options);
  if (last === null) return false;
  const own = await new LocalHistory().read(deps.settings.postgresql.dataDir, timeline);
  if (compareHistories({ ...position, lsn: last, open: false }, own, history) !== 'prefix') return false;
  // The last record may be one that two servers write alike; a checkpoint contains its time.
  for (const from of new Set([control.checkpointLsn, last])) {
    if (await isTheSame(deps, source, { timeline, from }, control.walSegmentBytes, options)) continue;
    const message = `${source.name} has other WAL at ${formatLsn(from)}, before the point up to which pg_rewind takes both for the same`;
    throw new RegentError('REWIND_BLIND', message, { mend: 'reinitialize the member' });
  }
  deps.log.info(
    `pg_rewind is left out, because there is nothing to rewind: the WAL here ends at ${formatLsn(last)}, within the history of ${source.name}`,
  );
  return true;
}

/**
 * True also where the source no longer has that WAL, or does not let it be read: then only the
 * numbers can be compared.
 */
async function isTheSame(deps: Deps, source: Source, place: TimelineStart, segmentBytes: number, options: Bounded): Promise<boolean> {
  return (await sameRecord(deps, source, place, segmentBytes, options).catch(() => null)) !== false;
}

/** Null: one of the two does not have that WAL any more. Throws what askFingerprint throws. */
export async function sameRecord(
  deps: Deps,
  source: Source,
  place: TimelineStart,
  segmentBytes: number,
  options: Bounded,
): Promise<boolean | null> {
  const here = await readFingerprint(deps.settings.postgresql.dataDir, place, segmentBytes);
  const there = await askFingerprint(deps, source, place, segmentBytes, options);
  return here === null || there === null ? null : headerOf(here) === headerOf(there);
}

/**
 * The part of a record, in hex, that has its length, where the one before it begins, and a checksum
 * over all of it. What follows may be another's record already.
 */
const headerOf = (hex: string) => hex.slice(0, 48);
