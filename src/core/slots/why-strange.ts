/** Why nothing accounts for a slot, in words for the log. It is dropped for that. */
import { isMemberRecord, type Member, mayLead } from '../cluster.ts';
import type { Context } from '../context.ts';
import type { SlotFacts } from '../postgres-facts.ts';
import { slotNameOf } from '../slot-names.ts';
import { formatLsn } from '../units.ts';

interface Facts {
  readonly c: Context;
  readonly slot: SlotFacts;
  /** Whose slot has that name. */
  readonly member: Member | undefined;
}

interface Reason {
  readonly when: (facts: Facts) => boolean;
  readonly because: (facts: Facts) => string;
}

/** The first that applies. `slots` may name a slot, and it is not one of this node all the same. */
const reasons: readonly Reason[] = [
  {
    when: ({ c, slot }) => slot.name === slotNameOf(c.me),
    because: () => 'its name is that of the slot by which this node itself streams',
  },
  {
    when: ({ c, member }) => member !== undefined && keepsForMembers(c),
    because: ({ member }) => `its member ${member?.name} does not stream (nostream)`,
  },
  {
    when: ({ member }) => member !== undefined,
    because: ({ c, member }) =>
      `its member ${member?.name} does not stream from this node, ${mayLead(c.o.settings.local.tags) ? 'and member_slots_ttl is 0' : 'which may not lead'}`,
  },
  {
    when: ({ c, slot }) => isNamed(c, slot) && !mayLead(c.o.settings.local.tags),
    because: () => 'this member may not lead, and has no use for permanent slots',
  },
  { when: ({ c, slot }) => isNamed(c, slot), because: () => 'this member does not stream (nostream), and has no use for logical slots' },
  {
    when: ({ c, slot }) => c.o.settings.dynamic.slotsElsewhere[slot.name]?.type === 'logical',
    because: ({ slot }) => `a standby cluster keeps no logical slots${readUpTo(slot)}`,
  },
  {
    when: ({ c, slot }) => c.o.settings.dynamic.slotsElsewhere[slot.name] !== undefined,
    because: ({ c }) => `by 'slots' it is for the other type of cluster (this is a ${c.followsRemote ? 'standby' : 'primary'} cluster)`,
  },
  { when: () => true, because: () => `neither a member nor 'slots' nor 'ignore_slots' names it` },
];

export function whyStrange(c: Context, slot: SlotFacts): string {
  const member = c.view?.members.find((one) => one.name !== c.me && isMemberRecord(one) && slotNameOf(one.name) === slot.name);
  const facts = { c, slot, member };
  return `it is unused, and ${reasons.find(({ when }) => when(facts))?.because(facts)}`;
}

const isNamed = (c: Context, { name }: SlotFacts) => c.o.settings.dynamic.slots[name] !== undefined;

const keepsForMembers = ({ o: { settings } }: Context) => settings.dynamic.memberSlotsTtlSeconds > 0 && mayLead(settings.local.tags);

/** Where its consumer goes on, wherever that is. */
export const readUpTo = ({ confirmedFlushLsn }: SlotFacts): string =>
  confirmedFlushLsn == null ? '' : `; its consumer has all up to ${formatLsn(confirmedFlushLsn)}`;
