/** Which slots a node should have, and how far a standby may move each. */
import { isMemberRecord, type Member, mayLead } from '../cluster.ts';
import { type Context, isStandbyLeader } from '../context.ts';
import type { Memory, Observation } from '../model.ts';
import { slotNameOf } from '../slot-names.ts';
import type { Lsn } from '../units.ts';
import { upstreamOf } from '../upstream.ts';

/** `target`: the position that the slot's consumer is known to have; null: not known. */
export type WantedSlot =
  | { readonly type: 'physical'; readonly target: Lsn | null }
  | { readonly type: 'logical'; readonly database: string; readonly plugin: string; readonly target: Lsn | null };

type Wanted = ReadonlyMap<string, WantedSlot>;

const known = new WeakMap<Observation, { readonly seen: Memory['slotSeenAtMs']; readonly wanted: Wanted }>();

/** By name; put together once a round, which asks several times. */
export function wantedSlots(c: Context): Wanted {
  const seen = c.m.slotSeenAtMs;
  const before = known.get(c.o);
  if (before?.seen === seen) return before.wanted;
  const wanted = collect(c);
  known.set(c.o, { seen, wanted });
  return wanted;
}

/**
 * Every node that may lead keeps a slot for every other streaming member, so that after a failover
 * the new leader still has the WAL the others need. It also keeps the permanent slots. A member
 * that is gone keeps its slot for member_slots_ttl.
 */
function collect(c: Context): Wanted {
  const wanted = new Map<string, WantedSlot>();
  const { view, o } = c;
  if (view === null) return wanted;
  const { dynamic, local } = o.settings;
  const published = view.status?.slots ?? {};
  const keepAll = dynamic.memberSlotsTtlSeconds > 0;
  for (const member of view.members) {
    if (member.name === c.me || member.tags.nostream || !isMemberRecord(member)) continue;
    const parent = member.tags.replicatefrom;
    const streamsFromUs = parent === c.me || ((c.isPrimary || isStandbyLeader(c)) && upstreamOf(view, c.me, member) === c.me);
    if (keepAll ? mayLead(local.tags) || streamsFromUs : streamsFromUs)
      wanted.set(slotNameOf(member.name), { type: 'physical', target: reached(c, member) });
  }
  if (keepAll) {
    for (const [slot, at] of Object.entries(c.m.slotSeenAtMs)) {
      const fresh = o.nowMs - at < dynamic.memberSlotsTtlSeconds * 1000;
      if (fresh && slot !== slotNameOf(c.me) && !wanted.has(slot)) wanted.set(slot, { type: 'physical', target: published[slot] ?? null });
    }
  }
  for (const [name, spec] of permanentSlots(c)) {
    // A member's slot of that name stays what it is (core/member-complaints.ts tells).
    if (!wanted.has(name)) wanted.set(name, { ...spec, target: published[name] ?? null });
  }
  return wanted;
}

/**
 * A standby that may not lead needs none of them; one that does not stream has no catalog that
 * others keep for it, and nothing can be decoded in a standby cluster. The name of this node's own
 * slot is for the others.
 */
function permanentSlots(c: Context) {
  const { dynamic, local } = c.o.settings;
  if (c.isStandby && !mayLead(local.tags)) return [];
  const keepsLogical = !c.followsRemote && (c.isPrimary || local.tags.nostream !== true);
  return Object.entries(dynamic.slots).filter(([name, { type }]) => name !== slotNameOf(c.me) && (keepsLogical || type === 'physical'));
}

/**
 * The member's own word is first-hand. A member that lacks WAL may need to fetch it later from the
 * next leader. Where it streams from this node, no other node knows better. While this node was
 * away, the leader may have made a slot for the member. Such a slot begins where the leader was,
 * and the leader published that.
 */
function reached({ view, me }: Context, member: Member): Lsn | null {
  if (view === null) return null;
  const told = view.status?.slots[slotNameOf(member.name)] ?? null;
  if (member.tags.replicatefrom === me) return member.lsn;
  // A leader of Patroni before 4.0 publishes permanent slots only.
  const leader = view.members.find(({ name }) => name === view.leader?.name);
  if (told === null && Number.parseInt(leader?.version ?? '', 10) < PUBLISHES_ALL) return member.lsn;
  return member.lsn !== null && told !== null && member.lsn < told ? member.lsn : told;
}

const PUBLISHES_ALL = 4;
