/**
 * A leader key that this process did not take itself. It may be its own of a moment ago (the agent
 * was restarted), or one that etcd has brought back: restored from an older backup, it names
 * whoever led then, and its /sync, /status and /history are of then too. So nothing that stands in
 * etcd counts here: the node asks everybody, and goes by what lies on the disks.
 */
import { mayLead } from './cluster.ts';
import { isForeign } from './comparison.ts';
import type { Context } from './context.ts';
import { localPosition, type Position } from './divergence.ts';
import type { PeerFacts } from './peer-facts.ts';
import { formatLsn } from './units.ts';

export type InheritedVerdict =
  | { readonly kind: 'lead' }
  | { readonly kind: 'wait'; readonly because: string }
  | { readonly kind: 'beaten'; readonly because: string };

/** Whether this node may go on with the leader key that names it. */
export function inheritedVerdict(c: Context): InheritedVerdict {
  if (c.m.keyTaken || c.m.keyInheritedSinceMs === null || c.view === null) return { kind: 'lead' };
  const own = localPosition(c.o.pg);
  if (own === null) return wait('its own WAL position is not known yet');
  if (c.o.peers === null) return wait('the other members have not been asked yet');
  for (const peer of c.o.peers.values()) {
    const ahead = whatIsAhead(c, own, peer);
    if (ahead !== null) return { kind: 'beaten', because: ahead };
  }
  const { peers } = c.o;
  const silent = c.view.members.filter((member) => member.name !== c.me && member.apiUrl !== null && !peers.has(member.name));
  // Who is dead drops out with its own lease by then.
  const over = c.o.nowMs - c.m.keyInheritedSinceMs >= c.o.settings.dynamic.ttlSeconds * 1000;
  if (silent.length > 0 && !over) return wait(`${silent.map((member) => member.name).join(', ')} did not answer yet`);
  return { kind: 'lead' };
}

const wait = (because: string): InheritedVerdict => ({ kind: 'wait', because });

/** What this peer has that this node has not; null: nothing that could lead. */
function whatIsAhead(c: Context, own: Position, peer: PeerFacts): string | null {
  if (c.view === null || isForeign(peer, c.view)) return null;
  if (!peer.inRecovery && peer.state === 'running') return `${peer.name} runs as a primary`;
  if (!mayLead(peer.tags)) return null;
  const theirs = peer.onDisk ?? (peer.lsn === null ? null : { timeline: peer.timeline, lsn: peer.lsn });
  if (theirs === null || theirs.timeline === null) return null;
  if (theirs.timeline > own.timeline) return `${peer.name} is on timeline ${theirs.timeline}, this node on ${own.timeline}`;
  // Where the WAL of a primary that crashed ends is not known, and on its timeline nobody else has
  // more.
  if (own.atRecordStart || theirs.timeline < own.timeline || theirs.lsn <= own.lsn) return null;
  return `${peer.name} is ahead, at ${formatLsn(theirs.lsn)}; this node is at ${formatLsn(own.lsn)}`;
}
