/**
 * Names of the physical replication slots that members hold on one another. Same rule as Patroni's
 * (docs/dialect.md, "Slot names"): mixed clusters share slots.
 */

import { recalled } from '../support/recall.ts';

/** PostgreSQL's NAMEDATALEN less its terminator. */
const MAX_LENGTH = 63;

/**
 * Always a name PostgreSQL accepts
 * (`[a-z0-9_]{1,63}`), unless the member's name is empty. Not injective: `a-b` and
 * `a.b` share a slot, see `slotNameClashes`.
 */
export const slotNameOf = recalled((memberName: string): string => {
  const lower = memberName.toLowerCase();
  if (/^[a-z0-9_]{1,63}$/.test(lower)) return lower;
  let slot = '';
  for (const character of lower) {
    if (/[a-z0-9_]/.test(character)) slot += character;
    else if (character === '-' || character === '.') slot += '_';
    else slot += `u${String(character.codePointAt(0)).padStart(4, '0')}`;
  }
  return slot.slice(0, MAX_LENGTH);
});

/**
 * Groups of members whose slot names are the same: each group would fight over one slot. Sorted;
 * empty when all is well.
 */
export function slotNameClashes(memberNames: readonly string[]): string[][] {
  const names = new Set(memberNames);
  if (new Set(memberNames.map(slotNameOf)).size === names.size) return [];
  const groups = new Map<string, string[]>();
  for (const name of [...names].sort()) {
    const slot = slotNameOf(name);
    groups.set(slot, [...(groups.get(slot) ?? []), name]);
  }
  return [...groups.values()].filter((group) => group.length > 1);
}
