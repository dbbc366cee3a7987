/**
 * The leader of a standby cluster whose data nothing here mends. As long as it led, it would follow
 * nobody, and no member could be copied from it.
 */
import { untold } from '../callbacks.ts';
import { type Context, comparedWith } from '../context.ts';
import { divergenceFrom } from '../divergence.ts';
import type { PeerFacts } from '../peer-facts.ts';
import type { SourceHistory } from '../postgres-facts.ts';
import { possibleSuccessors } from '../race/successors.ts';
import { lacksCure } from './mend.ts';
import type { Outcome } from './table.ts';

export function yieldsLead(c: Context): boolean {
  const { view, o } = c;
  const outside = comparedWith(c);
  const { source, peers } = o;
  if (view === null || outside === null || source === null || divergenceFrom(o.pg, source) !== 'diverged') return false;
  if (!lacksCure(c, outside)) return false;
  return possibleSuccessors(c, view, { despiteLag: true }).some((name) => fits(peers?.get(name), source));
}

/** Another member that left the history as well would be no better off. */
function fits(peer: PeerFacts | undefined, source: SourceHistory): boolean {
  if (peer?.lsn == null) return false;
  const known = peer.timelineFingerprint !== undefined && source.timelineFingerprint !== undefined;
  if (known && peer.timeline === source.timeline && peer.timelineFingerprint !== source.timelineFingerprint) return false;
  const end = peer.timeline === source.timeline ? source.lsn : source.history.find(({ timeline }) => timeline === peer.timeline)?.switchLsn;
  return end !== undefined && peer.lsn <= end;
}

/** It keeps out of the race for as long as the successor may need to take the key. */
export const yieldLead = (c: Context): Outcome => ({
  effects: [{ kind: 'release-leader', optime: null }],
  abstain: true,
  watchMembers: true,
  ...(c.stopped && { chores: untold(c, true) }),
});

export const YIELDS = 'releasing the leader key: nothing mends the data of this node, which diverged from the server of standby_cluster';
