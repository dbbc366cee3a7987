/**
 * The first bytes of a timeline's WAL. Two promotions at one point give both timelines one number
 * and one history. The record that each writes first differs: it contains the time and a checksum
 * over it. It is XLOG_END_OF_RECOVERY, or XLOG_OVERWRITE_CONTRECORD before it
 * (src/include/access/xlog_internal.h of PostgreSQL 13 to 18). Nothing else tells them apart.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Source } from '../../core/effects.ts';
import type { SourceHistory, TimelineStart } from '../../core/postgres-facts.ts';
import { type Lsn, toLsn } from '../../core/units.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { codeOf } from '../../support/errors.ts';
import type { Deps } from './deps.ts';
import { withSource } from './rewind-source.ts';
import { segmentSuffix } from './wal-timeline.ts';

/**
 * The header of the first record, with its checksum, even after the header of a page. It is not
 * longer than that record, so that the record's flush covers it.
 */
const BEGINNING_BYTES = 48;

/**
 * Whether anything follows the record of the promotion. A timeline that was interrupted just after
 * that record continues into any other of its number.
 */
export function goesOn(start: TimelineStart, end: Lsn): boolean {
  return end > start.from + BigInt(BEGINNING_BYTES);
}

/** Name of the file and offset in it; null when the bytes lie in two files. */
export function placeOf(
  { timeline, from }: TimelineStart,
  segmentBytes: number,
): { readonly file: string; readonly offset: number } | null {
  const offset = Number(from % BigInt(segmentBytes));
  if (offset + BEGINNING_BYTES > segmentBytes) return null;
  return { file: timeline.toString(16).toUpperCase().padStart(8, '0') + segmentSuffix(toLsn(from + 1n), segmentBytes), offset };
}

/** The last segment of a timeline that was left is renamed where WAL is archived. */
const namesOf = (file: string) => [file, `${file}.partial`];

/** In hex; null when the WAL is not there. */
export async function readFingerprint(dataDir: string, start: TimelineStart, segmentBytes: number): Promise<string | null> {
  const place = placeOf(start, segmentBytes);
  if (place === null) return null;
  for (const name of namesOf(place.file)) {
    const file = await open(join(dataDir, 'pg_wal', name)).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return null;
      throw error;
    });
    if (file === null) continue;
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(BEGINNING_BYTES), 0, BEGINNING_BYTES, place.offset);
      return meaningful(buffer.subarray(0, bytesRead).toString('hex'));
    } finally {
      await file.close();
    }
  }
  return null;
}

/** A file that was made ahead of its use is full of zeros. */
function meaningful(hex: string): string | null {
  return hex.length === 2 * BEGINNING_BYTES && /[^0]/.test(hex) ? hex : null;
}

/**
 * The fingerprint of this node, read once a timeline. A walreceiver asks for WAL from the beginning
 * of a segment on. One that is pointed at the other timeline of the number therefore overwrites the
 * record that tells them apart.
 */
export class LocalFingerprint {
  #cached: { readonly key: string; readonly hex: string } | null = null;

  async read(dataDir: string, start: TimelineStart, segmentBytes: number): Promise<string | null> {
    const key = `${start.timeline}@${start.from}`;
    if (this.#cached?.key === key) return this.#cached.hex;
    const hex = await readFingerprint(dataDir, start, segmentBytes);
    if (hex !== null) this.#cached = { key, hex };
    return hex;
  }

  /** The directory's content was replaced. */
  forget(): void {
    this.#cached = null;
  }
}

const READ = `SELECT encode(coalesce(pg_read_binary_file('pg_wal/' || $1, $3, $4, true), pg_read_binary_file('pg_wal/' || $2, $3, $4, true)), 'hex') AS hex`;

/**
 * The same of a peer; null when it does not have that WAL any more. Throws what a connection
 * throws, and what keeps the rewind user from reading files.
 */
export async function askFingerprint(
  deps: Deps,
  source: Source,
  start: TimelineStart,
  segmentBytes: number,
  options: Bounded,
): Promise<string | null> {
  const place = placeOf(start, segmentBytes);
  if (place === null) return null;
  return withSource(deps, source, options, async (client) => {
    const { rows } = await client.query<{ hex: string | null }>(READ, [...namesOf(place.file), place.offset, BEGINNING_BYTES]);
    return meaningful(rows[0]?.hex ?? '');
  });
}

/** The source has or had a timeline of that number, begun at that point. */
export function hasTimeline({ timeline, history }: SourceHistory, start: TimelineStart): boolean {
  const has = timeline === start.timeline || history.some((entry) => entry.timeline === start.timeline);
  return has && history.filter((entry) => entry.timeline < start.timeline).at(-1)?.switchLsn === start.from;
}
