/**
 * History files and WAL of timelines that are no part of the source's history. A standby follows
 * the latest timeline that it finds a history file of. So a history file of a timeline that was
 * given up leads the node back to that timeline. A segment of one makes the node's position look as
 * if it were on that timeline.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { SourceHistory } from '../../core/postgres-facts.ts';
import type { Timeline } from '../../core/units.ts';
import { removeFile } from './atomic-file.ts';

/**
 * 24 digits of a segment, or 8 of a history file, with what marks a part of one; the timeline comes
 * first.
 */
const NAME = /^([0-9A-F]{8})(?:[0-9A-F]{16}(?:\.partial|\.[0-9A-F]{8}\.backup)?|\.history)$/;

export function abandonedAmong(names: readonly string[], { timeline, history }: Pick<SourceHistory, 'timeline' | 'history'>): string[] {
  const known = new Set([timeline, ...history.map((entry) => entry.timeline)]);
  return names.filter((name) => {
    const of = timelineIn(name);
    return of !== null && !known.has(of);
  });
}

/** Null: it is neither a segment nor a history file. */
function timelineIn(name: string): Timeline | null {
  const digits = NAME.exec(name)?.[1];
  return digits === undefined ? null : Number.parseInt(digits, 16);
}

/**
 * Call it only after a rewind that ended well: by then the node has given up what it had on other
 * timelines. Returns what was removed.
 */
export async function removeAbandoned(dataDir: string, source: Pick<SourceHistory, 'timeline' | 'history'>): Promise<string[]> {
  const directory = join(dataDir, 'pg_wal');
  return removeFrom(directory, abandonedAmong(await readdir(directory), source));
}

/** Those of timelines later than that one. The server must be stopped. Returns what was removed. */
export async function removeLaterHistories(dataDir: string, timeline: Timeline): Promise<string[]> {
  const directory = join(dataDir, 'pg_wal');
  const names = await readdir(directory);
  return removeFrom(
    directory,
    names.filter((name) => name.endsWith('.history') && (timelineIn(name) ?? timeline) > timeline),
  );
}

async function removeFrom(directory: string, names: string[]): Promise<string[]> {
  for (const name of names) {
    await removeFile(join(directory, name));
    for (const suffix of ['ready', 'done']) await removeFile(join(directory, 'archive_status', `${name}.${suffix}`));
  }
  return names;
}
