/** Two timelines of one number, as far as their WAL tells (M13). */
import type { TimelineStart, WalEnd } from '../../../src/core/postgres-facts.ts';
import type { SimServer } from '../server.ts';
import { type Branch, isPrefix } from '../wal.ts';

export function beginningAt(from: SimServer, own: TimelineStart | undefined): { beginning?: string } {
  for (let at: Branch | null = from.position.branch; at !== null; at = at.parent)
    if (at.timeline === own?.timeline && at.forkLsn === own.from && from.hasBeginningOf(at)) return { beginning: at.beginning };
  return {};
}

/** The one has begun a timeline of a number and at a point at which the other began one too, and both still have the WAL that tells. */
export function twinOf(a: SimServer, b: SimServer): boolean {
  const own = a.position.branch;
  if (own.parent === null || !a.hasBeginningOf(own)) return false;
  const { beginning } = beginningAt(b, { timeline: own.timeline, from: own.forkLsn });
  return beginning !== undefined && beginning !== own.beginning;
}

/** The source has the last records of a server that was a primary on its timeline. */
export function hasOurEnd(server: SimServer, from: SimServer, end: WalEnd | undefined): { hasOurEnd?: boolean } {
  if (end === undefined || from.inRecovery || end.timeline !== from.position.branch.timeline) return {};
  return { hasOurEnd: isPrefix(server.position, from.position) };
}
