/**
 * Timeline history files: `pg_wal/%08X.history`, the same text that TIMELINE_HISTORY returns.
 * Format: src/backend/access/transam/timeline.c of PostgreSQL (readTimeLineHistory,
 * writeTimeLineHistory).
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HistoryEntry } from '../../core/cluster.ts';
import type { TimelineKnown } from '../../core/postgres-facts.ts';
import { parseLsn, type Timeline } from '../../core/units.ts';
import { codeOf, RegentError } from '../../support/errors.ts';
import { readText } from './atomic-file.ts';

export function historyFileName(timeline: Timeline): string {
  return `${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`;
}

/**
 * Oldest first. Throws HISTORY_UNREADABLE: a history read in half would let a diverged node pass
 * for a good one.
 */
export function parseHistory(text: string): HistoryEntry[] {
  const entries: HistoryEntry[] = [];
  for (const line of text.split('\n')) {
    if (/^\s*(#|$)/.test(line)) continue;
    const match = /^\s*(\d+)\s+([0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8})(?:\s+(.*?))?\s*$/.exec(line);
    const timeline = Number(match?.[1]);
    if (!match || timeline <= (entries.at(-1)?.timeline ?? 0)) {
      throw new RegentError('HISTORY_UNREADABLE', `not a line of a timeline history: '${line}'`);
    }
    entries.push({ timeline, switchLsn: parseLsn(match[2]!), reason: match[3] ?? '' });
  }
  return entries;
}

/** History files never change once written, so a timeline is read from disk once. */
export class LocalHistory {
  #cached: { readonly key: string; readonly entries: readonly HistoryEntry[] } | null = null;

  /**
   * [] on timeline 1, and when the file is not there (not fetched yet, or the timeline is unknown).
   */
  async read(dataDir: string, timeline: Timeline | null): Promise<readonly HistoryEntry[]> {
    if (timeline === null || timeline <= 1) return [];
    const path = join(dataDir, 'pg_wal', historyFileName(timeline));
    if (this.#cached?.key === path) return this.#cached.entries;
    try {
      const entries = parseHistory(await readFile(path, 'utf8'));
      this.#cached = { key: path, entries };
      return entries;
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    }
  }

  /**
   * The latest of which there is a file, later than that one; null: none. PostgreSQL looks at them
   * one after another as well, and stops at a gap (findNewestTimeLine in timeline.c).
   */
  async latest(dataDir: string, after: Timeline): Promise<TimelineKnown | null> {
    let found: TimelineKnown | null = null;
    for (let timeline = after + 1; ; timeline += 1) {
      const text = await readText(join(dataDir, 'pg_wal', historyFileName(timeline)));
      if (text === null) return found;
      found = { timeline, history: parseHistory(text) };
    }
  }

  /** The directory's content was replaced. */
  forget(): void {
    this.#cached = null;
  }
}
