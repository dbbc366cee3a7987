/**
 * Members the cluster still counts on although their keys in etcd have expired: their slots are
 * retained for `member_slots_ttl`.
 */
import { type ClusterView, sameName } from './cluster.ts';
import { forgottenSlots } from './forgotten.ts';
import { slotNameOf } from './slot-names.ts';

/**
 * Sorted names. A slot may spell its member's name differently (`node-1` → `node_1`). When no key
 * has the name, the slot's name is used. Empty when nobody is there: without an agent nothing
 * prunes the list, and it may be as old as the cluster.
 */
export function absentMembers(view: ClusterView): readonly string[] {
  if (view.members.length === 0 || view.status === null) return [];
  const present = new Set(view.members.map((member) => slotNameOf(member.name)));
  const names = namesKnown(view);
  const forgotten = forgottenSlots(view);
  const absent = view.status.retainSlots
    .filter((slot) => !present.has(slot) && !forgotten.has(slot))
    .map((slot) => names.find((name) => slotNameOf(name) === slot) ?? slot);
  return [...new Set(absent)].sort();
}

/** Where else members are named. */
function namesKnown(view: ClusterView): readonly string[] {
  const parents = view.members.map((member) => member.tags.replicatefrom);
  const led = view.history.map((entry) => entry.newLeader);
  const requested = [view.failover?.leader, view.failover?.candidate];
  const names = [...(view.sync?.standbys ?? []), view.sync?.leader, ...requested, ...parents, ...led, view.leader?.name];
  return names.filter(
    (name) => name !== undefined && name !== null && !view.members.some((member) => sameName(member.name, name)),
  ) as string[];
}
