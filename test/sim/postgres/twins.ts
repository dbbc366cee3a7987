/** Two timelines of one number, as far as their WAL tells (M13). */
import { sharesPlace } from '../../../src/core/divergence.ts';
import type { TimelineStart, WalEnd } from '../../../src/core/postgres-facts.ts';
import type { SimServer } from '../server.ts';
import { type Branch, isPrefix, type Position, plus } from '../wal.ts';

export function fingerprintAt(from: SimServer, own: TimelineStart | undefined): { timelineFingerprint?: string } {
  for (let at: Branch | null = from.position.branch; at !== null; at = at.parent)
    if (at.timeline === own?.timeline && at.forkLsn === own.from && from.hasStartOf(at))
      return { timelineFingerprint: at.timelineFingerprint };
  return {};
}

/**
 * Both have begun a timeline of the same number at the same point, and both still have the WAL that
 * tells.
 */
export function twinOf(a: SimServer, b: SimServer): boolean {
  const own = a.position.branch;
  if (own.parent === null || !a.hasStartOf(own)) return false;
  const { timelineFingerprint } = fingerprintAt(b, { timeline: own.timeline, from: own.forkLsn });
  return timelineFingerprint !== undefined && timelineFingerprint !== own.timelineFingerprint;
}

/** A new cluster, and a base backup, have nothing after it. */
function inCheckpoint({ checkpoint: { branch, lsn }, position }: SimServer): Position {
  return { branch, lsn: lsn < position.lsn ? plus(lsn, 1) : lsn };
}

/**
 * The source has the last records of a server that was a primary on its timeline, or on one that it
 * left after them. It must still have WAL of that place.
 */
export function hasOurEnd(server: SimServer, from: SimServer, end: WalEnd | undefined, remote: boolean): { hasOurEnd?: boolean } {
  const { branch } = from.position;
  if (end === undefined || (from.inRecovery && !remote) || !sharesPlace(branch, end.timeline, end.checkpointLsn)) return {};
  if (end.timeline !== branch.timeline && from.hasLostWalAt({ branch: server.checkpoint.branch, lsn: end.checkpointLsn })) return {};
  const whole = end.open && sharesPlace(branch, end.timeline, server.position.lsn);
  return { hasOurEnd: isPrefix(whole ? server.position : inCheckpoint(server), from.position) };
}
