/** A voter's promise to take no more WAL from a leader, on disk: one line of JSON in a mark. */
import type { FenceMark } from '../../core/quorum/fence-mark.ts';
import { isJsonObject, parseJson } from '../../support/big-json.ts';
import { readMark, removeMark, writeMark } from './marks.ts';

/**
 * What is told of it is what is on disk for certain: one that is being written is not told yet.
 * Only the agent writes it, so it is read once.
 */
export class FenceFile {
  #known: FenceMark | null | undefined;

  /** Durable once it returns. Throws DATA_DIR_MARK_FAILED. */
  async write(dataDir: string, mark: FenceMark | null): Promise<void> {
    // Where this throws, what was known before is told on: the new text may be there, and is not
    // known to outlast a loss of power.
    await writeFence(dataDir, mark);
    this.#known = mark;
  }

  async read(dataDir: string): Promise<FenceMark | 'unreadable' | null> {
    if (this.#known !== undefined) return this.#known;
    const found = await readFence(dataDir);
    if (found !== 'unreadable') this.#known ??= found;
    return found;
  }
}

async function writeFence(dataDir: string, mark: FenceMark | null): Promise<void> {
  if (mark === null) return removeMark(dataDir, 'fence');
  const { leader, term, sync } = mark;
  await writeMark(dataDir, 'fence', `${JSON.stringify({ leader, term, sync })}\n`);
}

/** Null: none lies there. Never throws: one that cannot be read may say anything. */
async function readFence(dataDir: string): Promise<FenceMark | 'unreadable' | null> {
  try {
    const { texts, pipe } = await readMark(dataDir, 'fence');
    const [text] = texts;
    if (text === undefined) return pipe ? 'unreadable' : null;
    return markOf(text) ?? 'unreadable';
  } catch {
    return 'unreadable';
  }
}

function markOf(text: string): FenceMark | null {
  const value = parseJson(text);
  if (!isJsonObject(value)) return null;
  const { leader, term, sync } = value;
  return typeof leader === 'string' && typeof term === 'string' && typeof sync === 'string' ? { leader, term, sync } : null;
}
