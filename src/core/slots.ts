/** Physical replication slots: which this node should have, and how far they should be. */
import { isMemberRecord } from './cluster.ts';
import type { Context } from './context.ts';
import type { Effect } from './effects.ts';
import { forgottenSlots } from './forgotten.ts';
import type { SlotFacts } from './postgres-facts.ts';
import { slotNameOf } from './slot-names.ts';
import type { Lsn } from './units.ts';
import { upstreamOf } from './upstream.ts';

/**
 * Every node, not only the leader, keeps a slot for every other streaming member. So after a
 * failover the new leader still has the WAL the others need. A member that is gone keeps its slot
 * for member_slots_ttl. Returns null when nothing has to change.
 */
export function slotPlan(c: Context, seenAtMs: Readonly<Record<string, number>>): Effect | null {
  const { view, o } = c;
  const sql = o.pg.sql;
  if (view === null || sql === null || !o.settings.dynamic.useSlots) return null;
  const wanted = wantedSlots(c, seenAtMs);
  const existing = new Map(sql.slots.map((slot) => [slot.name, slot]));
  const ownSlot = slotNameOf(c.me);
  const forgotten = forgottenSlots(view);
  const create = [...wanted.keys()].filter((name) => !existing.has(name));
  const drop: string[] = [];
  const advance: Record<string, Lsn> = {};
  const renew: string[] = [];
  for (const slot of sql.slots) {
    if (isIgnored(c, slot)) continue;
    if (slot.type === 'logical') {
      if (isLeftBehind(c, slot)) drop.push(slot.name);
      continue;
    }
    const target = wanted.get(slot.name);
    if (target === undefined || slot.name === ownSlot) {
      // A connected consumer, and anything an operator may be about to use while paused, stays.
      // One that an operator has given up goes in a pause, too.
      if (!slot.active && (!c.paused || forgotten.has(slot.name))) drop.push(slot.name);
    } else {
      if (keepsNothing(slot) || holdsXmin(c, slot)) renew.push(slot.name);
      if (!slot.active && target !== null && c.isStandby && slot.restartLsn !== null && target > slot.restartLsn)
        advance[slot.name] = target;
    }
  }
  if (create.length + drop.length + renew.length + Object.keys(advance).length === 0) return null;
  return { kind: 'sync-slots', create, drop, advance, ...(renew.length > 0 && { renew }) };
}

/** Slot name to the position it may be advanced to on a standby (null: leave). */
function wantedSlots(c: Context, seenAtMs: Readonly<Record<string, number>>): ReadonlyMap<string, Lsn | null> {
  const { view, o } = c;
  const wanted = new Map<string, Lsn | null>();
  if (view === null) return wanted;
  const { dynamic, local } = o.settings;
  const published = view.status?.slots ?? {};
  const keepAll = dynamic.memberSlotsTtlSeconds > 0;
  for (const member of view.members) {
    if (member.name === c.me || member.tags.nostream || !isMemberRecord(member)) continue;
    const parent = member.tags.replicatefrom;
    const streamsFromUs = parent === c.me || (c.isPrimary && upstreamOf(view, c.me, member) === c.me);
    if (keepAll ? local.tags.nofailover !== true || streamsFromUs : streamsFromUs) {
      const name = slotNameOf(member.name);
      const told = published[name] ?? null;
      // The member's own word is first-hand. A member that lacks WAL may need to fetch it later
      // from the next leader. Where it streams from this node, no other node knows better. While
      // this node was away, the leader may have made a slot for the member. Such a slot begins
      // where the leader was, and the leader published that.
      const own = parent === c.me || (member.lsn !== null && told !== null && member.lsn < told);
      wanted.set(name, own ? member.lsn : told);
    }
  }
  if (keepAll) {
    for (const [slot, at] of Object.entries(seenAtMs)) {
      const fresh = o.nowMs - at < dynamic.memberSlotsTtlSeconds * 1000;
      if (fresh && slot !== slotNameOf(c.me) && !wanted.has(slot)) wanted.set(slot, published[slot] ?? null);
    }
  }
  for (const [name, spec] of Object.entries(dynamic.slots)) {
    const physical =
      spec['type'] === 'physical' || (spec['type'] === undefined && spec['plugin'] === undefined && spec['database'] === undefined);
    if (physical && !wanted.has(name)) wanted.set(name, published[name] ?? null);
  }
  return wanted;
}

/**
 * A logical slot on a standby that the configuration does not ask for: somebody made it while this
 * node was the primary. It cannot be consumed here, so it would hold WAL and the catalog's dead
 * rows for ever. Slots that PostgreSQL carries over itself are left alone.
 */
function isLeftBehind(c: Context, { name, active, failover }: SlotFacts): boolean {
  return c.isStandby && !active && !failover && !c.paused && c.o.settings.dynamic.slots[name] === undefined;
}

/** Its WAL is gone, or was never reserved: a standby that comes for it finds nothing kept. */
const keepsNothing = ({ active, walStatus, restartLsn }: SlotFacts) => !active && (walStatus === 'lost' || restartLsn === null);

/**
 * An unused slot on a standby keeps the xmin of the server that streamed from it while this node
 * was the primary. No server advances it, and this node feeds it back to its own primary, where
 * vacuum then removes nothing any more. Advancing a slot leaves its xmin as it is; a new one has
 * none.
 */
const holdsXmin = (c: Context, { active, xmin }: SlotFacts) => c.isStandby && !active && xmin !== null;

function isIgnored(c: Context, { name, type, plugin, database }: SlotFacts): boolean {
  const facts: Record<string, unknown> = { name, type, plugin, database };
  return c.o.settings.dynamic.ignoreSlots.some((matcher) => Object.entries(matcher).every(([key, value]) => facts[key] === value));
}

/**
 * Slots of members in the view, and what the leader says it retains, with the moment they were last
 * seen. Keyed by slot name.
 */
export function seenSlots(c: Context, before: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  if (c.view === null) return before;
  const seen: Record<string, number> = {};
  const ttlMs = c.o.settings.dynamic.memberSlotsTtlSeconds * 1000;
  for (const [slot, at] of Object.entries(before)) if (c.o.nowMs - at < ttlMs) seen[slot] = at;
  for (const member of c.view.members) if (!member.tags.nostream && isMemberRecord(member)) seen[slotNameOf(member.name)] = c.o.nowMs;
  // A leader must not renew its own list, except when its agent has just begun and knows no member
  // yet. A node that may become leader restarts every timer.
  const begins = Object.keys(before).length === 0;
  if (!c.lockMine || begins) for (const slot of c.view.status?.retainSlots ?? []) seen[slot] = c.o.nowMs;
  for (const slot of forgottenSlots(c.view)) delete seen[slot];
  return seen;
}
