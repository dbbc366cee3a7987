/**
 * How the WAL of two nodes compares when nobody leads: timeline first, then position, then
 * priority.
 */
import { type ClusterView, clusterTimeline, failoverPriority, mayLead, sameName } from './cluster.ts';
import type { Context } from './context.ts';
import { pastSwitchPoint } from './divergence.ts';
import type { PeerFacts } from './peer-facts.ts';
import { walPosition } from './postgres-facts.ts';
import { formatLsn, type Lsn, lagBytes, type Timeline } from './units.ts';
import { countsVotes, includes } from './voters.ts';

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

/** By its own word it could lead. */
export const eligible = (peer: PeerFacts) =>
  mayLead(peer.tags) &&
  !peer.watchdogFailed &&
  peer.promotionTrouble === undefined &&
  (peer.state === 'running' || peer.state === 'streaming');

/**
 * Bytes between what the last leader wrote of itself into /status and this node's WAL. A timeline
 * that /history does not know yet has had no word in /status either: what stands there is of
 * another, and says nothing about this one.
 */
export function lagBehindLeader(view: ClusterView, own: OwnPosition): number {
  const optime = view.status?.optime ?? null;
  return optime === null || isUnheardOf(view, own.timeline) ? 0 : lagBytes(optime, own.lsn);
}

/**
 * A later timeline than /history knows: of a leader that could not write there yet, or of one that
 * the operator's failover to a node behind it has passed over.
 */
function isUnheardOf(view: ClusterView, timeline: Timeline | null): boolean {
  return timeline !== null && timeline > (clusterTimeline(view) ?? 1);
}

/**
 * It says that it is up, and has data by which it may not lead, however far ahead it is
 * (candidates.ts asks the same of this node): whoever waited for it would wait for ever. What was
 * acknowledged is not left to it. Where /sync counts on its members, the others have what was
 * acknowledged by their votes, or by being in the set, and where it does not nothing was promised.
 */
function willNotLead(c: Context, peer: PeerFacts, voters: readonly string[] | null): boolean {
  if (!eligible(peer) || peer.strayed === true) return true;
  if (peer.restored === true && voters !== null && includes(voters, peer.name)) return true;
  return c.view !== null && (pastSwitchPoint(peer.timeline, peer.lsn, c.view.history) || isTwin(c.view, peer));
}

export type Comparison = { kind: 'behind' } | { kind: 'silent' } | { kind: 'ahead-leader' } | { kind: 'beaten'; because: string };

export function compareWith(c: Context, own: OwnPosition, peer: PeerFacts, voters: readonly string[] | null): Comparison {
  if (c.view !== null && isForeign(peer, c.view)) return { kind: 'silent' };
  if (!peer.inRecovery && peer.state === 'running') return { kind: 'beaten', because: `${peer.name} still runs as a primary` };
  if (peer.lsn === null || peer.strayed === true) return { kind: 'silent' };
  if (voters !== null && isOtherThan(c.o.pg.beginning, peer) && peer.timeline === own.timeline) {
    // Of what the last leader wrote since it confirmed nothing. Where it cannot be told which of
    // the two timelines that was on, neither goes by the other.
    return { kind: c.view !== null && isTwin(c.view, peer) ? 'behind' : 'silent' };
  }
  const wasSyncLeader = voters !== null && voters[0] !== undefined && sameName(voters[0], peer.name);
  if (peer.timeline !== null && own.timeline !== null && peer.timeline < own.timeline)
    return { kind: lacks(c, own, peer.timeline, peer.lsn) ? 'silent' : 'behind' };
  const byVotes = c.view !== null && countsVotes(c.view, c.o.settings.dynamic.synchronousMode);
  const outsider = byVotes && voters !== null && !includes(voters, peer.name);
  const laterTimeline = peer.timeline !== null && own.timeline !== null && peer.timeline > own.timeline;
  if (laterTimeline || peer.lsn > own.lsn) {
    // What only the former synchronous leader has, on the same timeline, was never acknowledged.
    if (wasSyncLeader && !laterTimeline) return { kind: 'ahead-leader' };
    if (willNotLead(c, peer, voters)) return { kind: 'silent' };
    // Whoever confirmed what was acknowledged there has a vote.
    if (outsider && c.view !== null && isUnheardOf(c.view, peer.timeline)) return { kind: 'silent' };
    const where = laterTimeline ? `timeline ${peer.timeline}` : formatLsn(peer.lsn);
    return { kind: 'beaten', because: `${peer.name} is ahead, at ${where}; this node is at ${formatLsn(own.lsn)}` };
  }
  if (peer.lsn === own.lsn && !willNotLead(c, peer, voters) && failoverPriority(peer.tags) > failoverPriority(c.o.settings.local.tags)) {
    const former = voters?.[0] ?? c.m.lastLeader;
    if (!(former && sameName(former, peer.name)) && !outsider) {
      return { kind: 'beaten', because: `${peer.name} is at the same position and has a higher failover_priority` };
    }
  }
  return { kind: 'behind' };
}

/**
 * How long whoever is not up yet, and has more, is waited for: a start takes a few seconds, and who
 * then cannot come is no reason to have no leader.
 */
const COMING_UP_MS = 10_000;

/**
 * Where the WAL of a member that is not up yet ends, when that is beyond this node's. Of the last
 * leader that counts only on a later timeline: what it alone has on this one is what its standbys
 * were not sent.
 */
export function comesUpAhead(c: Context, own: OwnPosition, peer: PeerFacts, voters: readonly string[] | null): string | null {
  const { onDisk } = peer;
  const since = c.m.leaderlessSinceMs;
  if (onDisk === undefined || own.timeline === null || c.view === null || since === null || c.o.nowMs - since >= COMING_UP_MS) return null;
  if (isForeign(peer, c.view) || !mayLead(peer.tags) || peer.watchdogFailed || peer.state === 'start failed') return null;
  if (pastSwitchPoint(onDisk.timeline, onDisk.lsn, c.view.history)) return null;
  const byVotes = countsVotes(c.view, c.o.settings.dynamic.synchronousMode);
  if (byVotes && voters !== null && !includes(voters, peer.name)) return null;
  const led = [voters?.[0], c.m.lastLeader].some((name) => name != null && sameName(name, peer.name));
  const later = onDisk.timeline > own.timeline;
  if (!later && (led || onDisk.timeline < own.timeline || onDisk.lsn <= own.lsn)) return null;
  return `${peer.name} is coming up and has more, at ${formatLsn(onDisk.lsn)} on timeline ${onDisk.timeline}`;
}

const isOtherThan = (beginning: string | undefined, peer: PeerFacts) =>
  beginning !== undefined && peer.beginning !== undefined && peer.beginning !== beginning;

/**
 * Its timeline has the number of the one that the leader /sync names writes, or wrote, on, and is
 * another (M13): what was acknowledged there is not here.
 */
export function isTwin(
  { status, sync }: ClusterView,
  { timeline, beginning }: { readonly timeline: Timeline | null; readonly beginning?: string },
): boolean {
  const told = status?.writesOn;
  if (told === undefined || beginning === undefined || sync === null || sync.leader === null) return false;
  // What another leader has told says nothing of the one that followed it.
  return sameName(told.leader, sync.leader) && told.timeline === timeline && told.beginning !== beginning;
}

/**
 * There is WAL on the other's earlier timeline that this node does not have: its own has not come
 * to the point where it turned off from that one, or turned off before the other's end. That end is
 * of no account where /history knows this node's timeline: nothing after that point was
 * acknowledged.
 */
function lacks(c: Context, own: OwnPosition, theirs: Timeline, lsn: Lsn): boolean {
  const unheardOf = c.view !== null && isUnheardOf(c.view, own.timeline);
  const left = c.o.pg.localHistory.find((entry) => entry.timeline === theirs);
  if (left === undefined) return unheardOf;
  return (unheardOf && lsn > left.switchLsn) || (own.lsn < lsn && own.lsn < left.switchLsn);
}

/**
 * It runs on the data of another cluster (a wrong disk): what it says of its WAL has nothing to do
 * with this one's.
 */
export function isForeign({ systemIdentifier }: PeerFacts, { initialize }: ClusterView): boolean {
  return systemIdentifier != null && initialize !== null && initialize !== '' && systemIdentifier !== initialize;
}
