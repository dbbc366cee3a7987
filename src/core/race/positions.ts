/** How WAL positions compare without a leader to ask, and which of them prove nothing. */
import { type ClusterView, clusterTimeline, sameName } from '../cluster.ts';
import type { Context } from '../context.ts';
import { leftAt } from '../divergence.ts';
import type { PeerFacts } from '../peer-facts.ts';
import { walPosition } from '../postgres-facts.ts';
import { type Lsn, lagBytes, type Timeline } from '../units.ts';

export interface OwnPosition {
  readonly lsn: Lsn;
  readonly timeline: Timeline | null;
}

export function ownPosition(c: Context): OwnPosition | null {
  const { sql } = c.o.pg;
  if (sql === null) return null;
  const lsn = walPosition(sql);
  return lsn === null ? null : { lsn, timeline: sql.timeline };
}

/**
 * Bytes between the position that the last leader wrote into /status and this node's WAL; 0 if that
 * position says nothing about this node.
 */
export function lagBehindLeaderBytes(c: Context, view: ClusterView, own: OwnPosition): number {
  const optime = view.status?.optime ?? null;
  return optime === null || isOfAnotherLine(c, view, own) ? 0 : lagBytes(optime, own.lsn);
}

/**
 * A leader whose timeline /history does not name yet has not written into /status either, so
 * another leader's position stands there. The timelines of a standby cluster are those of the
 * server outside, and /history names none, but its leader tells on which it is. A node that was
 * rewound from that server since is not behind what this cluster wrote on a timeline of its own.
 */
function isOfAnotherLine(c: Context, view: ClusterView, own: OwnPosition): boolean {
  const told = c.followsRemote ? view.status?.writesOn : undefined;
  if (told === undefined) return isUnheardOf(view, own.timeline);
  if (own.timeline === null || own.timeline < told.timeline) return false;
  const { timelineFingerprint } = c.o.pg;
  return own.timeline > told.timeline || (timelineFingerprint !== undefined && timelineFingerprint !== told.timelineFingerprint);
}

/**
 * The timeline is later than any that /history names. Its leader could not write to etcd yet, or an
 * operator's failover to a node behind it has passed it over.
 */
export function isUnheardOf(view: ClusterView, timeline: Timeline | null): boolean {
  return timeline !== null && timeline > (clusterTimeline(view) ?? 1);
}

/** The timeline, known or not, is not as late as the one that /history says the cluster is on. */
export function isBeforeCluster(view: ClusterView, timeline: Timeline | null): boolean {
  const expected = clusterTimeline(view);
  return expected !== null && (timeline === null || timeline < expected);
}

/** Two timelines of one number, each begun on its own (M13). */
export function isAnotherTimeline(fingerprint: string | undefined, peer: PeerFacts): boolean {
  return fingerprint !== undefined && peer.timelineFingerprint !== undefined && peer.timelineFingerprint !== fingerprint;
}

/**
 * The timeline has the number of the one on which the leader in /sync writes, or wrote, and is
 * another (M13). What was acknowledged on that leader's timeline is not here.
 */
export function isTwin(
  { status, sync }: ClusterView,
  { timeline, timelineFingerprint }: { readonly timeline: Timeline | null; readonly timelineFingerprint?: string },
): boolean {
  const told = status?.writesOn;
  if (told === undefined || timelineFingerprint === undefined || sync === null || sync.leader === null) return false;
  // What an earlier leader has told says nothing about the one that /sync names.
  return sameName(told.leader, sync.leader) && told.timeline === timeline && told.timelineFingerprint !== timelineFingerprint;
}

/**
 * This node may lack WAL of the other's earlier timeline. Either it has not replayed up to the
 * point where its own timeline left that one, or its timeline left before the other's end. The
 * second does not matter where /history names this node's timeline, because then nothing after that
 * point was acknowledged.
 */
export function lacksWalOf(c: Context, own: OwnPosition, theirs: Timeline, lsn: Lsn): boolean {
  const unheardOf = c.view !== null && isUnheardOf(c.view, own.timeline);
  const left = leftAt(c.o.pg.localHistory, theirs);
  if (left === null) return unheardOf;
  return (unheardOf && lsn > left) || (own.lsn < lsn && own.lsn < left);
}

/** The member runs on another cluster's data (a wrong disk), so its WAL says nothing about ours. */
export function isForeign({ systemIdentifier }: PeerFacts, { initialize }: ClusterView): boolean {
  return systemIdentifier != null && initialize !== null && initialize !== '' && systemIdentifier !== initialize;
}
