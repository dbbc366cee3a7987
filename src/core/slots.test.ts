/** S14: no node throws away WAL that a member may still come for. */
import { describe, expect, it } from 'vitest';
import { lsn, member, observation, pg, settings, slot, view } from '../../test/support/build.ts';
import { contextOf } from './context.ts';
import { emptyMemory } from './model.ts';
import { seenSlots, slotPlan } from './slots.ts';

const on = settings('a', { dynamic: { useSlots: true } });

function advanced(theirs: ReturnType<typeof member>): unknown {
  const status = { optime: lsn(900), slots: { c: lsn(800) }, retainSlots: [] };
  const seen = view({ leaderName: 'b', members: [member('a'), member('b', { role: 'primary' }), theirs], status });
  const o = observation({ view: seen, settings: on, pg: pg.standby({ slots: [slot('b', 1), slot('c', 500)] }) });
  const plan = slotPlan(contextOf(o, emptyMemory), {});
  return plan?.kind === 'sync-slots' ? plan.advance : null;
}

describe('a slot on a standby', () => {
  it('is advanced to where the leader says that its member is, but not past what the member says itself', () => {
    expect(advanced(member('c', { lsn: lsn(1000) }))).toEqual({ c: lsn(800) });
    expect(advanced(member('c', { lsn: null }))).toEqual({ c: lsn(800) });
    expect(advanced(member('c', { lsn: lsn(600) }))).toEqual({ c: lsn(600) });
    expect(advanced(member('c', { lsn: lsn(400) }))).toBeNull();
  });

  it('goes by the member alone where that streams from this node', () => {
    expect(advanced(member('c', { lsn: lsn(850), tags: { replicatefrom: 'a' } }))).toEqual({ c: lsn(850) });
    expect(advanced(member('c', { lsn: null, tags: { replicatefrom: 'a' } }))).toBeNull();
  });
});

describe('slots of members that are away', () => {
  const status = { optime: lsn(900), slots: {}, retainSlots: ['e'] };
  const seen = (leaderName: string, before: Readonly<Record<string, number>>) =>
    seenSlots(contextOf(observation({ view: view({ leaderName, status }), settings: on }), emptyMemory), before);

  it('are kept by an agent that has just begun, be it the leader’s', () => {
    expect(seen('a', {})).toHaveProperty('e');
    expect(seen('b', { a: 9000 })).toHaveProperty('e');
  });

  it('are not kept for ever by a leader that reads its own list', () => {
    expect(seen('a', { a: 9000 })).not.toHaveProperty('e');
  });
});
