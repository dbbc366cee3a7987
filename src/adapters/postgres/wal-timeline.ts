/**
 * The timeline of the WAL around a position, by the names of the segment files:
 * `TTTTTTTTXXXXXXXXYYYYYYYY`.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lsn, Timeline } from '../../core/units.ts';

/**
 * First digits of the 16 after the timeline: the segment that holds the byte before
 * `lsn`, where WAL up to `lsn` ends.
 */
export function segmentSuffix(lsn: Lsn, segmentBytes: number): string {
  const size = BigInt(segmentBytes);
  const segment = (lsn > 0n ? lsn - 1n : 0n) / size;
  const perId = 0x1_0000_0000n / size;
  const hex = (value: bigint) => value.toString(16).toUpperCase().padStart(8, '0');
  return hex(segment / perId) + hex(segment % perId);
}

/** Name of the segment that holds the byte before `lsn`. */
export function segmentName(timeline: Timeline, lsn: Lsn, segmentBytes: number): string {
  return timeline.toString(16).toUpperCase().padStart(8, '0') + segmentSuffix(lsn, segmentBytes);
}

export function timelineAmong(names: readonly string[], lsn: Lsn, segmentBytes: number): Timeline | null {
  const suffix = segmentSuffix(lsn, segmentBytes);
  let best: Timeline | null = null;
  for (const name of names) {
    if (name.length !== 24 || !name.endsWith(suffix) || !/^[0-9A-F]{24}$/.test(name)) continue;
    const timeline = Number.parseInt(name.slice(0, 8), 16);
    if (best === null || timeline > best) best = timeline;
  }
  return best;
}

/**
 * Null when no such segment lies in pg_wal (restored from the archive, recycled). A segment of a
 * later timeline begins as a copy of its parent's. So of those that hold the position the highest
 * one was written last.
 */
export async function timelineOfWal(dataDir: string, lsn: Lsn | null, segmentBytes: number): Promise<Timeline | null> {
  if (lsn === null) return null;
  return timelineAmong(await readdir(join(dataDir, 'pg_wal')), lsn, segmentBytes);
}
