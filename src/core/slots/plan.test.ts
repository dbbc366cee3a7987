/** S14: no node throws away WAL that a member may still come for. */
import { describe, expect, it } from 'vitest';
import { lsn, member, observation, pg, settings, slot, view } from '../../../test/support/build.ts';
import { contextOf } from '../context.ts';
import { emptyMemory } from '../model.ts';
import type { SlotFacts } from '../postgres-facts.ts';
import { remember } from '../remember.ts';
import type { Settings } from '../settings.ts';
import { noLogicalMemory } from './logical-work.ts';
import { slotPlan } from './plan.ts';
import { seenSlots } from './seen.ts';

const on = settings('a', { dynamic: { useSlots: true } });

function advanced(theirs: ReturnType<typeof member>): unknown {
  const status = { optime: lsn(900), slots: { c: lsn(800) }, retainSlots: [] };
  const seen = view({ leaderName: 'b', members: [member('a'), member('b', { role: 'primary' }), theirs], status });
  const o = observation({ view: seen, settings: on, pg: pg.standby({ slots: [slot('b', 1), slot('c', 500)] }) });
  const plan = slotPlan(contextOf(o, emptyMemory));
  return plan?.kind === 'sync-slots' ? plan.advance : null;
}

describe('a slot on a standby', () => {
  it('is advanced to where the leader says that its member is, but not past what the member says itself', () => {
    expect(advanced(member('c', { lsn: lsn(1000) }))).toEqual({ c: lsn(800) });
    expect(advanced(member('c', { lsn: null }))).toEqual({ c: lsn(800) });
    expect(advanced(member('c', { lsn: lsn(600) }))).toEqual({ c: lsn(600) });
    expect(advanced(member('c', { lsn: lsn(400) }))).toBeNull();
  });

  it('is judged by the member’s own position where it streams from this node', () => {
    expect(advanced(member('c', { lsn: lsn(850), tags: { replicatefrom: 'a' } }))).toEqual({ c: lsn(850) });
    expect(advanced(member('c', { lsn: null, tags: { replicatefrom: 'a' } }))).toBeNull();
  });
});

describe('without slots for members that are away, the leader', () => {
  /** a leads; c should stream from b. */
  const wanted = (b: Parameters<typeof member>[1]) => {
    const members = [member('a', { role: 'primary' }), member('b', b), member('c', { lsn: lsn(500), tags: { replicatefrom: 'b' } })];
    const mine = settings('a', { dynamic: { useSlots: true, memberSlotsTtlSeconds: 0 } });
    const o = observation({ view: view({ leaderName: 'a', members }), settings: mine, pg: pg.primary({ slots: [] }) });
    const plan = slotPlan(contextOf(o, emptyMemory));
    return plan?.kind === 'sync-slots' ? plan.create : [];
  };

  it('has one for every member that streams from it, also in the place of a source that gets no WAL, is down or would make a ring', () => {
    expect(wanted({ replicationState: 'streaming', lsn: lsn(500) })).toEqual(['b']);
    expect(wanted({ replicationState: null, replayLsn: lsn(400), lsn: lsn(400) })).toEqual(['b', 'c']);
    expect(wanted({ state: 'stopped' })).toEqual(['b', 'c']);
    expect(wanted({ tags: { replicatefrom: 'c' } })).toContain('c');
  });
});

describe('a logical slot that was found broken on a standby', () => {
  const copy = slot('app', 400, { type: 'logical', plugin: 'pgoutput', database: 'shop' });
  const plan = (facts: ReturnType<typeof pg.standby>, dynamic: Partial<Settings['dynamic']> = {}, broken = ['app']) => {
    const slots = { app: { type: 'logical', database: 'shop', plugin: 'pgoutput' } } as const;
    const o = observation({
      view: view({ leaderName: facts.sql?.inRecovery ? 'b' : 'a', members: [member('a'), member('b')] }),
      settings: settings('a', { dynamic: { useSlots: true, slots, ...dynamic } }),
      pg: facts,
    });
    const before = { ...emptyMemory, logical: { ...noLogicalMemory, leader: 'b', broken } };
    const c = contextOf(o, remember(o, before));
    const effect = slotPlan(c);
    return effect?.kind === 'sync-slots' ? effect.drop : [];
  };

  it('is dropped there, and by that node as the primary, but not in a pause', () => {
    expect(plan(pg.standby({ slots: [copy] }))).toEqual(['app']);
    expect(plan(pg.primary({ slots: [copy] }))).toEqual(['app']);
    expect(plan(pg.standby({ slots: [copy] }), { pause: true })).toEqual([]);
    expect(plan(pg.standby({ slots: [copy] }), {}, [])).toEqual([]);
  });

  it('says nothing of the one that is made in its place', () => {
    const gone = observation({ view: view({ leaderName: 'a' }), settings: on, pg: pg.primary({ slots: [] }) });
    const before = { ...emptyMemory, logical: { ...noLogicalMemory, broken: ['app'] } };
    const keeps = settings('a', { dynamic: { useSlots: true, slots: { app: { type: 'logical', database: 'shop', plugin: 'pgoutput' } } } });
    expect(remember({ ...gone, settings: keeps }, before).logical.broken).toEqual([]);
  });
});

describe('slots of members that are away', () => {
  const status = { optime: lsn(900), slots: {}, retainSlots: ['e'] };
  const seen = (leaderName: string, before: Readonly<Record<string, number>>) =>
    seenSlots(contextOf(observation({ view: view({ leaderName, status }), settings: on }), emptyMemory), before);

  it('are kept by an agent that has just begun, even the leader’s', () => {
    expect(seen('a', {})).toHaveProperty('e');
    expect(seen('b', { a: 9000 })).toHaveProperty('e');
  });

  it('are not kept for ever by a leader that reads its own list', () => {
    expect(seen('a', { a: 9000 })).not.toHaveProperty('e');
  });
});

describe('the slot of a member that was forgotten', () => {
  const status = { optime: lsn(900), slots: {}, retainSlots: ['e'], forgotten: { e: 1000 } };
  const scene = (leaderName: string, members = ['a', 'b'], more: Partial<Parameters<typeof observation>[0]> = {}) =>
    contextOf(
      observation({
        view: view({ leaderName, members: members.map((name) => member(name)), status }),
        settings: on,
        pg:
          leaderName === 'a'
            ? pg.primary({ slots: [slot('b', 1, { active: true }), slot('e', 1)] })
            : pg.standby({ slots: [slot('b', 1), slot('e', 1)] }),
        ...more,
      }),
      emptyMemory,
    );
  const dropped = (c: ReturnType<typeof scene>) => {
    const plan = slotPlan({ ...c, m: { ...c.m, slotSeenAtMs: seenSlots(c, { b: 1, e: 9000 }) } });
    return plan?.kind === 'sync-slots' ? plan.drop : [];
  };

  it.each(['a', 'b'])('is dropped and no longer remembered, whatever the node remembers and the list says (leader: %s)', (leader) => {
    expect(seenSlots(scene(leader), { e: 9000 })).not.toHaveProperty('e');
    expect(seenSlots(scene(leader), {})).not.toHaveProperty('e');
    expect(dropped(scene(leader))).toEqual(['e']);
  });

  it('is dropped in a pause too, where others are left for the operator', () => {
    const paused = { settings: settings('a', { dynamic: { useSlots: true, pause: true } }) };
    const withOther = { ...paused, pg: pg.primary({ slots: [slot('b', 1, { active: true }), slot('e', 1), slot('f', 1)] }) };
    expect(dropped(scene('a', ['a', 'b'], withOther))).toEqual(['e']);
  });

  it('stays while something streams through it', () => {
    const busy = pg.primary({ slots: [slot('b', 1, { active: true }), slot('e', 1, { active: true })] });
    expect(dropped(scene('a', ['a', 'b'], { pg: busy }))).toEqual([]);
  });

  it('is kept for a member that is back', () => {
    expect(seenSlots(scene('a', ['a', 'b', 'e']), { e: 9000 })).toHaveProperty('e');
    expect(dropped(scene('a', ['a', 'b', 'e']))).toEqual([]);
  });
});

describe('a key among the members that is no member’s record', () => {
  const bogus = member('bogus', { connUrl: null, apiUrl: null, role: null, state: 'unknown', raw: {} });
  const c = contextOf(
    observation({
      view: view({ leaderName: 'a', members: [member('a'), member('b'), bogus] }),
      settings: on,
      pg: pg.primary({ slots: [] }),
    }),
    emptyMemory,
  );

  it('gets no slot, and is not remembered', () => {
    const seen = seenSlots(c, {});
    expect(Object.keys(seen).sort()).toEqual(['a', 'b']);
    expect(slotPlan({ ...c, m: { ...c.m, slotSeenAtMs: seen } })).toMatchObject({ create: ['b'] });
  });
});

describe('slots that keep nothing, or nothing useful', () => {
  const seen = view({ leaderName: 'b', members: [member('a'), member('b', { role: 'primary' }), member('c', { lsn: null })] });
  const plan = (given: readonly SlotFacts[], over: Partial<Settings['dynamic']> = {}, primary = false) => {
    const mine = settings('a', { dynamic: { useSlots: true, ...over } });
    const slots = given.some(({ name }) => name === 'c') ? given : [slot('c', 500), ...given];
    const facts = { slots: [slot('b', 1, { active: true }), ...slots] };
    const cluster = primary ? { ...seen, leader: view({ leaderName: 'a' }).leader } : seen;
    const o = observation({ view: cluster, settings: mine, pg: primary ? pg.primary(facts) : pg.standby(facts) });
    return slotPlan(contextOf(o, emptyMemory));
  };
  it('are made again where a standby would feed back an xmin that no server advances', () => {
    expect(plan([slot('c', 500, { xmin: '725' })])).toMatchObject({ renew: ['c'], drop: [] });
    expect(plan([slot('c', 500, { xmin: '725', active: true })])).toBeNull();
    expect(plan([slot('c', 500)])).toBeNull();
  });

  it('keep the xmin of a member that is away on the primary, for as long as its slot is kept', () => {
    expect(plan([slot('c', 500, { xmin: '725' })], {}, true)).toBeNull();
  });

  it.each([true, false])('are made again when their WAL is lost, or none was reserved (primary: %s)', (primary) => {
    const lost = slot('c', 1, { restartLsn: null, walStatus: 'lost' });
    expect(plan([lost], {}, primary)).toMatchObject({ renew: ['c'] });
    expect(plan([slot('c', 1, { restartLsn: null, walStatus: null })], {}, primary)).toMatchObject({ renew: ['c'] });
  });
});
