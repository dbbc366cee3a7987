/**
 * What a round asks of the data directory: what it is, and which marks lie there. In peace nothing
 * of that changes for months, and looking costs thirty calls of the file system. So a directory is
 * looked at again only where something may have changed: an entry in it or beside it has come or
 * gone (their times of change say so), or a minute has passed.
 */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '../../ports/clock.ts';
import { type DataDirFacts, inspectDataDir } from './data-dir.ts';
import { type DirectoryMark, isMarked } from './directory-mark.ts';

export interface DirectoryLook {
  readonly facts: DataDirFacts;
  readonly marks: Readonly<Record<DirectoryMark, boolean>>;
}

/** A file system that does not keep its times cannot hide a change for longer. */
const LOOK_AGAIN_MS = 60_000;
/**
 * Two changes that follow each other as closely may have the same time: some file systems count
 * whole seconds.
 */
const SETTLED_MS = 3000;
const NS_PER_MS = 1_000_000n;

export class DirectoryLooker {
  readonly #clock: Pick<Clock, 'monotonicMs' | 'wallMs'>;
  #kept: { readonly signature: string; readonly atMs: number; readonly look: DirectoryLook } | null = null;

  constructor(clock: Pick<Clock, 'monotonicMs' | 'wallMs'>) {
    this.#clock = clock;
  }

  /** Never throws: what cannot be read is 'inaccessible', and marks count as IF_UNREADABLE says. */
  async look(dataDir: string): Promise<DirectoryLook> {
    const atMs = this.#clock.monotonicMs();
    // Before the look: what changes meanwhile shows in the next one.
    const signature = await signatureOf(dataDir, this.#clock.wallMs()).catch(() => null);
    const kept = this.#kept;
    if (kept !== null && kept.signature === signature && atMs - kept.atMs < LOOK_AGAIN_MS) return kept.look;
    const look = await lookAnew(dataDir);
    this.#kept = signature !== null && isAtPeace(look.facts) ? { signature, atMs, look } : null;
    return look;
  }
}

async function lookAnew(dataDir: string): Promise<DirectoryLook> {
  const marked = (mark: DirectoryMark) => isMarked(dataDir, mark);
  const [facts, restored, strayed, openedByHand] = await Promise.all([
    inspectDataDir(dataDir),
    marked('restored'),
    marked('strayed'),
    marked('opened-by-hand'),
  ]);
  return { facts, marks: { restored, strayed, 'opened-by-hand': openedByHand } };
}

/** Nothing was read of which the text may change in its place. */
function isAtPeace({ state, incompleteWork, backupLabel }: DataDirFacts): boolean {
  return state === 'valid' && incompleteWork === null && backupLabel === undefined;
}

/**
 * Which directories these are, and when an entry last came or went in them: the data directory, the
 * one above its name, and the one above itself, where a link leads to it. Null: one has changed too
 * recently to tell. Throws what the system says.
 */
async function signatureOf(dataDir: string, wallMs: number): Promise<string | null> {
  const bare = dataDir.replace(/(?<=.)\/+$/, '');
  const [control, ...directories] = await Promise.all([
    stat(join(bare, 'global', 'pg_control')),
    ...[bare, dirname(bare), `${bare}/..`].map((path) => stat(path, { bigint: true })),
  ]);
  const settledNs = BigInt(Math.floor(wallMs - SETTLED_MS)) * NS_PER_MS;
  if (directories.some(({ mtimeNs, ctimeNs }) => mtimeNs > settledNs || ctimeNs > settledNs)) return null;
  const texts = directories.map(({ dev, ino, mtimeNs, ctimeNs }) => `${dev} ${ino} ${mtimeNs} ${ctimeNs}`);
  return [dataDir, control.ino, ...texts].join('\n');
}
