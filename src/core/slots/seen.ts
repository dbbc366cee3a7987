/** What a node remembers of slots from round to round. */
import { isMemberRecord } from '../cluster.ts';
import type { Context } from '../context.ts';
import { forgottenSlots } from '../forgotten.ts';
import { slotNameOf } from '../slot-names.ts';
import { isStrange } from './plan.ts';
import { wantedSlots } from './wanted.ts';

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

const none: Readonly<Record<string, number>> = {};

/**
 * Slots that nothing accounts for and nobody uses, with the moment from which on that has been so.
 * Somebody who makes one by hand does not use it at once.
 */
export function strangeSlots(c: Context, before: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  const { sql } = c.o.pg;
  if (c.view === null || sql === null) return before;
  const wanted = sql.slots.length === 0 ? null : wantedSlots(c);
  const strange = wanted === null ? [] : sql.slots.filter((slot) => isStrange(c, slot, wanted.get(slot.name)));
  return strange.length === 0 ? none : Object.fromEntries(strange.map(({ name }) => [name, before[name] ?? c.o.nowMs]));
}
