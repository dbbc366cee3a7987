/**
 * S14: what the leader publishes of a slot is how far its member may have come, and the others
 * throw WAL away by it.
 */
import { expect, it } from 'vitest';
import { lsn, memory, observation, pg, settings, slot, view } from '../../test/support/build.ts';
import { contextOf } from './context.ts';
import { statusValue } from './housekeeping.ts';

function published(
  of: ReturnType<typeof slot> | null,
  before: number | null,
  slotSeenAtMs: Readonly<Record<string, number>> = {},
): unknown {
  const slots = before === null ? {} : { e: lsn(before) };
  const seen = view({ leaderName: 'a', status: { optime: lsn(900), slots, retainSlots: [] } });
  const o = observation({
    view: seen,
    settings: settings('a', { dynamic: { useSlots: true } }),
    pg: pg.primary({ slots: of === null ? [] : [of] }),
  });
  return (statusValue(contextOf(o, memory({ slotSeenAtMs })))['slots'] as Record<string, unknown>)['e'];
}

it('keeps the position of a member that is away, when the slot was made here after it had left', () => {
  expect(published(slot('e', 800), 500)).toBe(lsn(500));
});

it('publishes a slot’s own position where its member streams, it was not published before, or it lies further back', () => {
  expect(published(slot('e', 800, { active: true }), 500)).toBe(lsn(800));
  expect(published(slot('e', 800), null)).toBe(lsn(800));
  expect(published(slot('e', 400), 500)).toBe(lsn(400));
});

it('keeps it as well before the slot is made here, for as long as slots of that member are kept', () => {
  expect(published(null, 500, { e: 9000 })).toBe(lsn(500));
  expect(published(null, 500)).toBeUndefined();
});
