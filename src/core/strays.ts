/**
 * Standbys that say they have more than the leader they stream from: what they confirm is WAL of
 * their own.
 */
import type { Chore } from './chores.ts';
import { sameName } from './cluster.ts';
import type { Context } from './context.ts';
import { checkpointOf, divergenceFrom, streamsInOrder, writtenEnd } from './divergence.ts';
import type { Memory } from './model.ts';
import type { PostgresFacts, WalEnd, WalsenderFacts } from './postgres-facts.ts';

/**
 * The leader's end was asked after what its walsenders tell, and nobody is sent what is not
 * flushed.
 */
export function isAheadOfLeader({ o }: Context, sender: WalsenderFacts): boolean {
  const end = o.pg.sql?.flushLsn ?? null;
  return end !== null && [sender.writeLsn, sender.flushLsn, sender.replayLsn].some((lsn) => lsn !== null && lsn > end);
}

/**
 * Somebody opened this node for writes by hand, on a timeline of its own or on its leader's. What
 * it has beyond the others was never acknowledged, so nobody waits for it, and it does not lead.
 */
export const wroteByHand = ({ strayed, openedByHand }: Pick<Memory, 'strayed' | 'openedByHand'>): boolean => strayed || openedByHand;

/** A server that is down has no other chores: so these stand by themselves. */
export function marksByHand({ o, m }: Context): readonly Chore[] {
  if (o.job !== null || o.pg.dataDir !== 'valid') return [];
  const marks: Chore[] = [];
  if (m.strayed !== (o.pg.strayed === true)) marks.push({ kind: 'strayed', effects: [{ kind: 'mark-strayed', strayed: m.strayed }] });
  if (m.openedByHand !== (o.pg.openedByHand === true))
    marks.push({ kind: 'opened-by-hand', effects: [{ kind: 'mark-opened-by-hand', opened: m.openedByHand }] });
  return marks;
}

/**
 * A rewind or a copy has ended well since the last round: what this node wrote by itself is gone.
 */
export function hasOthersData({ o }: Context): boolean {
  return o.ended.some(({ ok, job }) => ok && (job.kind === 'rewind' || job.kind === 'reinitialize' || job.kind === 'clone'));
}

/**
 * Until it streams, or its data came from another. What else it writes as a standby no comparison
 * needs.
 */
export function endedAt(c: Context, before: WalEnd | null): WalEnd | null {
  const { pg } = c.o;
  if (hasOthersData(c) || c.isPrimary || pg.dataDir !== 'valid' || streamsInOrder(pg)) return null;
  const now = writtenEnd(pg);
  return now === null ? before : { ...now, open: false };
}

/**
 * The record to look for in the WAL of the leader. A standby that this agent has seen stream wrote
 * none. Of another nobody knows: an agent before this one may have ended before it could note what
 * it saw.
 */
export function endToCompare(pg: PostgresFacts, { endedAt, streamed }: Pick<Memory, 'endedAt' | 'streamed'>): WalEnd | null {
  return writtenEnd(pg) ?? endedAt ?? (streamed ? null : checkpointOf(pg));
}

/**
 * The leader’s WAL would take the place of its own, which is all that tells the two apart. So it
 * follows only once they were compared.
 */
export const awaitsComparison = ({ m, o }: Context): boolean => m.strayed && divergenceFrom(o.pg, o.source) === 'unknown';

export function strays(c: Context, name: string): boolean {
  const senders = c.isPrimary ? (c.o.pg.sql?.replication ?? []) : [];
  return senders.some((sender) => sameName(sender.applicationName, name) && isAheadOfLeader(c, sender));
}
