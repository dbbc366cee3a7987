/**
 * Members that an operator gave up for good (`regentctl forget`). Every node keeps a slot for a
 * member that is away, and its own memory of it, for `member_slots_ttl`. So it is not enough to
 * drop the slot, or to remove it from one list. The names are in /status beside the slots that are
 * retained. The leader carries them on until no node can remember the member any more, and removes
 * a member that has come back.
 */
import { isJsonObject } from '../support/big-json.ts';
import type { JsonObject } from '../support/json.ts';
import { type ClusterView, isMemberRecord } from './cluster.ts';
import { slotNameOf } from './slot-names.ts';

/** Slots that are kept no longer, even if a node remembers them. */
export function forgottenSlots(view: ClusterView): ReadonlySet<string> {
  const forgotten = Object.keys(view.status?.forgotten ?? {});
  if (forgotten.length === 0) return NONE;
  const present = new Set(view.members.filter(isMemberRecord).map(({ name }) => slotNameOf(name)));
  return new Set(forgotten.filter((slot) => !present.has(slot)));
}

const NONE: ReadonlySet<string> = new Set();

/**
 * Twice, because clocks differ: a node may have seen the member that much later than it was
 * forgotten.
 */
const LIFETIMES = 2;

/** What the leader writes. `ttlSeconds`: member_slots_ttl. */
export function carriedForgotten(view: ClusterView, ttlSeconds: number, wallMs: number): Readonly<Record<string, number>> {
  const told = view.status?.forgotten ?? {};
  const slots = forgottenSlots(view);
  return Object.fromEntries(
    Object.entries(told).filter(([slot, at]) => slots.has(slot) && wallMs - at * 1000 < ttlSeconds * 1000 * LIFETIMES),
  );
}

/**
 * /status after the slot was given up, for the operator's tool. The slot's position stays in it
 * until the leader has dropped the slot.
 */
export function withForgotten(status: JsonObject, slot: string, wallMs: number): JsonObject {
  const { retain_slots: retained, forgotten } = status;
  return {
    ...status,
    retain_slots: Array.isArray(retained) ? retained.filter((name) => name !== slot) : [],
    forgotten: { ...(isJsonObject(forgotten) ? forgotten : {}), [slot]: Math.floor(wallMs / 1000) },
  };
}
