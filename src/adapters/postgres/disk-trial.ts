/**
 * Does the disk of a primary finish what is written? A disk that hangs answers nothing and reports
 * no error. PostgreSQL takes connections and answers from memory, and no commit returns. So a small
 * write, flushed, is tried every now and then, in the directory of the WAL, and in that of the data
 * where it is on another disk.
 */

import { constants } from 'node:fs';
import { open, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lsn } from '../../core/units.ts';
import type { Clock } from '../../ports/clock.ts';

/** So named, base backups and pg_rewind pass it over. */
const FILE = 'pgsql_tmp.regent-disk-trial';
const EVERY_MS = 2000;
const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_DSYNC;
const BLOCK = Buffer.alloc(512);

export class DiskTrial {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #write: (dataDir: string) => Promise<void>;
  /** When the write that has not ended was begun; null: none is under way. */
  #sinceMs: number | null = null;
  #begunAtMs = Number.NEGATIVE_INFINITY;
  #flushed: { readonly lsn: Lsn | null; readonly atMs: number } = { lsn: null, atMs: Number.NEGATIVE_INFINITY };

  constructor(clock: Pick<Clock, 'monotonicMs'>, write: (dataDir: string) => Promise<void> = writer()) {
    this.#clock = clock;
    this.#write = write;
  }

  /**
   * How long the disk has finished nothing, neither this write nor one of PostgreSQL's WAL. Null:
   * no write waits. One write at a time, because each that hangs keeps a thread.
   */
  look(dataDir: string, flushLsn: Lsn | null): number | null {
    const now = this.#clock.monotonicMs();
    if (flushLsn !== this.#flushed.lsn) this.#flushed = { lsn: flushLsn, atMs: now };
    if (this.#sinceMs !== null) return now - Math.max(this.#sinceMs, this.#flushed.atMs);
    if (now - this.#begunAtMs >= EVERY_MS) this.#begin(dataDir, now);
    return null;
  }

  #begin(dataDir: string, now: number): void {
    this.#sinceMs = now;
    this.#begunAtMs = now;
    const ended = () => {
      this.#sinceMs = null;
    };
    // A disk that says what is wrong does not hang.
    this.#write(dataDir).then(ended, ended);
  }
}

/** Where to write is looked up again after a failure: the directory may be another one. */
function writer(): (dataDir: string) => Promise<void> {
  let known: { readonly dataDir: string; readonly places: readonly string[] } | null = null;
  return async (dataDir) => {
    const { places } = known?.dataDir === dataDir ? known : { places: await placesOf(dataDir) };
    known = null;
    for (const place of places) await write(place);
    known = { dataDir, places };
  };
}

async function placesOf(dataDir: string): Promise<readonly string[]> {
  const wal = await realpath(join(dataDir, 'pg_wal'));
  return (await stat(wal)).dev === (await stat(dataDir)).dev ? [wal] : [wal, dataDir];
}

async function write(directory: string): Promise<void> {
  const file = await open(join(directory, FILE), FLAGS, 0o600);
  try {
    await file.write(BLOCK, 0, BLOCK.length, 0);
  } finally {
    await file.close();
  }
}
