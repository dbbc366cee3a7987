/**
 * The leader of a standby cluster whose data nothing here mends. As long as it led, it would follow
 * nobody, and no member could be copied from it.
 */
import { untold } from '../callbacks.ts';
import { type ClusterView, sameName } from '../cluster.ts';
import { type Context, comparedWith } from '../context.ts';
import { divergenceFrom, isTwinOf, leftAt, localPosition } from '../divergence.ts';
import type { PeerFacts } from '../peer-facts.ts';
import type { SourceHistory } from '../postgres-facts.ts';
import { isTwin } from '../race/positions.ts';
import { possibleSuccessors } from '../race/successors.ts';
import { ZERO_LSN } from '../units.ts';
import { syncVoters } from '../voters.ts';
import { lacksCure } from './mend.ts';
import type { Outcome } from './table.ts';

export function yieldsLead(c: Context): boolean {
  const { view, o } = c;
  const outside = comparedWith(c);
  const { source, peers } = o;
  if (view === null || outside === null || source === null || divergenceFrom(o.pg, source) !== 'diverged') return false;
  if (!lacksCure(c, outside)) return false;
  const candidates = possibleSuccessors(c, view, { despiteLag: true }).filter((name) => {
    const peer = peers?.get(name);
    // A twin of what this node wrote on leaves the race (race.diverged).
    return peer !== undefined && fits(c, peer, source) && !isTwin(view, peer);
  });
  return candidates.some((name) => hasVotes(c, view, name, source));
}

/**
 * Until the standby leader streams from outside, /sync stands, and nobody leads without its votes.
 * Where those that have them left the history as well, they would hand the key round among them.
 */
function hasVotes(c: Context, view: ClusterView, candidate: string, source: SourceHistory): boolean {
  const { me, o } = c;
  const voters = syncVoters(view, o.settings.dynamic.synchronousMode);
  if (voters === null) return true;
  const position = o.peers?.get(candidate)?.lsn ?? ZERO_LSN;
  const votes = voters.filter((name) => {
    const peer = o.peers?.get(name);
    return !sameName(name, me) && fits(c, peer, source) && peer?.lsn != null && peer.lsn <= position;
  });
  return votes.length > (view.sync?.quorum ?? 0);
}

/**
 * Another member that left the history as well would be no better off. The server outside was asked
 * with what the timeline of this node's number begins, so a member is compared by that there alone.
 */
function fits({ o: { pg } }: Context, peer: PeerFacts | undefined, source: SourceHistory): boolean {
  if (peer?.lsn == null || peer.timeline === null) return false;
  const end = peer.timeline === source.timeline ? source.lsn : leftAt(source.history, peer.timeline);
  if (end === null || peer.lsn > end) return false;
  if (peer.timeline !== localPosition(pg)?.timeline) return true;
  const theirs = source.timelineFingerprint;
  // A member that cannot tell it has most likely got this node's timeline from this node.
  if (isTwinOf(pg, source))
    return peer.timelineFingerprint !== undefined && isOutsides(peer.timelineFingerprint, theirs, pg.timelineFingerprint);
  return peer.timelineFingerprint === undefined || theirs === undefined || peer.timelineFingerprint === theirs;
}

/** Where the server outside began it at another place, it does not tell with what. */
const isOutsides = (fingerprint: string, theirs: string | undefined, own: string | undefined): boolean =>
  theirs !== undefined ? fingerprint === theirs : own !== undefined && fingerprint !== own;

/** It keeps out of the race for as long as the successor may need to take the key. */
export const yieldLead = (c: Context): Outcome => ({
  effects: [{ kind: 'release-leader', optime: null }],
  abstain: true,
  watchMembers: true,
  ...(c.stopped && { chores: untold(c, true) }),
});

export const YIELDS = 'releasing the leader key: nothing mends the data of this node, which diverged from the server of standby_cluster';
