/**
 * A leader key that names this node, although this process did not take it. The agent may have been
 * restarted. Or etcd was restored from an older backup. Then the key names the leader of that time,
 * and /sync, /status and /history are of that time too. So nothing in etcd counts here. The node
 * asks every member, and judges by what is on the disks.
 */
import { mayLead } from './cluster.ts';
import type { Context } from './context.ts';
import { localPosition, type Position } from './divergence.ts';
import type { PeerFacts } from './peer-facts.ts';
import { isForeign } from './race/positions.ts';
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
  // By then the key of a dead member has ended with its lease.
  const over = c.o.nowMs - c.m.keyInheritedSinceMs >= c.o.settings.dynamic.ttlSeconds * 1000;
  if (silent.length > 0 && !over) return wait(`${silent.map((member) => member.name).join(', ')} did not answer yet`);
  return { kind: 'lead' };
}

const wait = (because: string): InheritedVerdict => ({ kind: 'wait', because });

/** What this peer has and this node lacks; null: nothing, or the peer could not lead with it. */
function whatIsAhead(c: Context, own: Position, peer: PeerFacts): string | null {
  if (c.view === null || isForeign(peer, c.view)) return null;
  if (!peer.inRecovery && peer.state === 'running') return `${peer.name} runs as a primary`;
  if (!mayLead(peer.tags)) return null;
  const theirs = peer.onDisk ?? (peer.lsn === null ? null : { timeline: peer.timeline, lsn: peer.lsn });
  if (theirs === null || theirs.timeline === null) return null;
  if (theirs.timeline > own.timeline) return `${peer.name} is on timeline ${theirs.timeline}, this node on ${own.timeline}`;
  // The end of a crashed primary's WAL is not known, and on its timeline no other member has more.
  if (own.atRecordStart || theirs.timeline < own.timeline || theirs.lsn <= own.lsn) return null;
  return `${peer.name} is ahead, at ${formatLsn(theirs.lsn)}; this node is at ${formatLsn(own.lsn)}`;
}
