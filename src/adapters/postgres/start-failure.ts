/** What the last words of a server that did not come up mean for the next try. */
import { START_UNRECOVERABLE } from '../../core/rewind-prospects.ts';

/**
 * The WAL it needs is nowhere on this node: only an archive, or a new copy, can help. From 17 on
 * each says where that WAL would be.
 */
export const CANNOT_RECOVER: readonly RegExp[] = [
  /could not locate a valid checkpoint record/,
  /could not locate required checkpoint record/,
  /could not find redo location (?:\S+ )?referenced by checkpoint record/,
];

export function startFailure(words: string): string {
  if (CANNOT_RECOVER.some((pattern) => pattern.test(words))) return START_UNRECOVERABLE;
  return /No space left on device|Disk quota exceeded/.test(words) ? 'PG_START_NO_ROOM' : 'PG_START_FAILED';
}
