/**
 * Whether a standby's disk has room for a promotion. PostgreSQL then writes a whole segment of the
 * new timeline, its history file and more, and ends where it cannot. It tries by writing, because a
 * read-only file system and a quota show in no other way. It also asks what is free for
 * PostgreSQL's user, since root may use more.
 */
import { realpath, statfs, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../ports/clock.ts';
import { codeOf } from '../../support/errors.ts';

/**
 * So named, base backups and pg_rewind pass it over: one that an agent run as root made could not
 * be read by PostgreSQL.
 */
const TEST_FILE = 'pgsql_tmp.regent-write-test';
const TEST_BYTES = 16 * 1024;
const USUAL_SEGMENT_BYTES = 16 * 1024 * 1024;
/** An answer holds for so long: in a race others ask several times a second. */
const FRESH_MS = 1000;
/** Nothing is known of a disk that does not answer in this time. */
const PATIENCE_MS = 200;

const WORDS: Readonly<Record<string, string>> = {
  ENOSPC: 'is full',
  EDQUOT: 'is over its quota',
  EROFS: 'is read-only',
};
/** A missing directory, or a test file that another process removed, is another trouble. */
const TELLING: ReadonlySet<string> = new Set([...Object.keys(WORDS), 'EACCES', 'EPERM', 'EIO']);

export class Room {
  readonly #clock: Pick<Clock, 'monotonicMs' | 'timer'>;
  #last: { readonly atMs: number; readonly trouble: string | null } | null = null;
  #looking: Promise<string | null> | null = null;

  constructor(clock: Pick<Clock, 'monotonicMs' | 'timer'>) {
    this.#clock = clock;
  }

  /** Null: nothing is in the way, as far as is known in time. Never throws. */
  async trouble(dataDir: string, segmentBytes: number | null): Promise<string | null> {
    if (this.#last !== null && this.#clock.monotonicMs() - this.#last.atMs < FRESH_MS) return this.#last.trouble;
    // One look at a time: a disk that hangs keeps the threads that wait for it.
    this.#looking ??= this.#look(dataDir, segmentBytes ?? USUAL_SEGMENT_BYTES).finally(() => {
      this.#looking = null;
    });
    const known = this.#last?.trouble ?? null;
    return new Promise((resolve) => {
      const cancel = this.#clock.timer(PATIENCE_MS, () => resolve(known));
      void this.#looking?.then((trouble) => {
        cancel();
        resolve(trouble);
      });
    });
  }

  async #look(dataDir: string, segmentBytes: number): Promise<string | null> {
    let trouble: string | null = null;
    for (const [name, path] of [
      // Not in the directory itself: that would look changed at every round (directory-look.ts).
      ['the data directory', join(dataDir, 'base')],
      ['pg_wal', join(dataDir, 'pg_wal')],
    ] as const) {
      trouble ??= await writing(name, path);
    }
    trouble ??= await roomFor(join(dataDir, 'pg_wal'), segmentBytes);
    this.#last = { atMs: this.#clock.monotonicMs(), trouble };
    return trouble;
  }
}

async function writing(name: string, directory: string): Promise<string | null> {
  const path = join(directory, TEST_FILE);
  try {
    await writeFile(path, Buffer.alloc(TEST_BYTES), { mode: 0o600 });
    return null;
  } catch (error) {
    const code = codeOf(error) ?? '';
    return TELLING.has(code) ? `the disk of ${name} ${WORDS[code] ?? `cannot be written (${code})`}` : null;
  } finally {
    await unlink(path).catch(() => {});
  }
}

async function roomFor(directory: string, bytes: number): Promise<string | null> {
  try {
    const { bavail, bsize, blocks } = await statfs(await realpath(directory));
    // Some file systems do not count.
    if (blocks === 0 || bavail * bsize >= bytes) return null;
    return `the disk of pg_wal has no room for the ${Math.round(bytes / 1024 / 1024)} MB that a promotion writes`;
  } catch {
    return null;
  }
}
