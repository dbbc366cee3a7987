import { describe, expect, test } from 'vitest';
import { lsn, member, observation, pg, view } from '../../test/support/build.ts';
import { absentMembers } from './absent-members.ts';
import { contextOf } from './context.ts';
import { carriedForgotten, forgottenSlots, withForgotten } from './forgotten.ts';
import { statusValue } from './housekeeping.ts';
import { emptyMemory } from './model.ts';

const AT = 1_000;
const TTL_S = 1800;
const status = { optime: lsn(900), slots: {}, retainSlots: ['e'], forgotten: { e: AT } };
const seen = (...names: string[]) => view({ leaderName: 'a', members: names.map((name) => member(name)), status });

describe('a member that was forgotten', () => {
  test('is no longer counted as absent, until it publishes itself again', () => {
    expect(absentMembers({ ...seen('a', 'b'), status: { ...status, forgotten: {} } })).toEqual(['e']);
    expect(absentMembers(seen('a', 'b'))).toEqual([]);
    expect([...forgottenSlots(seen('a', 'b'))]).toEqual(['e']);
    expect([...forgottenSlots(seen('a', 'b', 'e'))]).toEqual([]);
  });

  test('is known by its slot: a name in capitals or with a dash is the same', () => {
    const told = { ...status, forgotten: { node_1: AT } };
    const back = view({ leaderName: 'a', members: [member('a'), member('Node-1')], status: told });
    expect([...forgottenSlots(back)]).toEqual([]);
  });

  test('a key of its name that is no member’s record does not bring it back', () => {
    const bogus = member('e', { connUrl: null, raw: {} });
    expect([...forgottenSlots(view({ leaderName: 'a', members: [member('a'), bogus], status }))]).toEqual(['e']);
  });

  test('is carried on by the leader until no node can remember it any more, and not beyond its return', () => {
    expect(carriedForgotten(seen('a'), TTL_S, AT * 1000 + TTL_S * 1000)).toEqual({ e: AT });
    expect(carriedForgotten(seen('a'), TTL_S, AT * 1000 + 2 * TTL_S * 1000)).toEqual({});
    expect(carriedForgotten(seen('a', 'e'), TTL_S, AT * 1000)).toEqual({});
  });

  test('is in what the leader writes, without its slot', () => {
    const value = statusValue(contextOf(observation({ view: seen('a', 'b'), wallMs: AT * 1000, pg: pg.primary() }), emptyMemory));
    expect(value['forgotten']).toEqual({ e: AT });
    expect(value['retain_slots'] ?? []).not.toContain('e');
  });
});

test('the tool’s write keeps all other entries', () => {
  const before = { optime: 5, slots: { e: 3, b: 4 }, retain_slots: ['b', 'e'], writes_on: { leader: 'a' }, forgotten: { d: 1 } };
  expect(withForgotten(before, 'e', 7_999)).toEqual({ ...before, retain_slots: ['b'], forgotten: { d: 1, e: 7 } });
  expect(withForgotten({ optime: 5 }, 'e', 7_000)).toEqual({ optime: 5, retain_slots: [], forgotten: { e: 7 } });
});
