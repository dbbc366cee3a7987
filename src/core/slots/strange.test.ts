/** Slots that nothing accounts for, and others that are in the way of the wanted ones. */
import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, pg, settings, slot, view } from '../../../test/support/build.ts';
import { contextOf } from '../context.ts';
import type { SlotFacts, SqlFacts } from '../postgres-facts.ts';
import type { Settings } from '../settings.ts';
import { slotPlan } from './plan.ts';
import { strangeSlots } from './seen.ts';

const LOOP_WAIT_MS = 10_000;

interface Scene {
  readonly dynamic?: Partial<Settings['dynamic']>;
  /** Where the slots are; default: on a standby of b. */
  readonly primary?: boolean;
  readonly sql?: Partial<SqlFacts>;
  readonly forMs?: number;
  readonly leader?: string | null;
}

function scene(given: readonly SlotFacts[], { dynamic = {}, primary = false, sql = {}, forMs = LOOP_WAIT_MS, leader }: Scene = {}) {
  const facts = { slots: [slot('b', 1, { active: true }), slot('c', 1000), ...given], ...sql };
  const leads = leader === undefined ? (primary ? 'a' : 'b') : leader;
  const members = ['a', 'b', 'c'].map((name) => member(name, name === leads ? { role: 'primary' } : {}));
  const o = observation({
    view: view({ ...(leads !== null && { leaderName: leads }), members, status: { optime: lsn(900), slots: {}, retainSlots: [] } }),
    settings: settings('a', { dynamic: { useSlots: true, ...dynamic } }),
    pg: primary ? pg.primary(facts) : pg.standby(facts),
    ...(primary && { lease: { leaseId: 'lease-a', confirmedSentAtMs: 9000, ttlSeconds: 30 } }),
  });
  const sinceMs = o.nowMs - forMs;
  return contextOf(o, memory({ strangeSlots: Object.fromEntries(given.map(({ name }) => [name, sinceMs])) }));
}

const plan = (given: readonly SlotFacts[], how: Scene = {}) => slotPlan(scene(given, how));
const logical = (over: Partial<SlotFacts> = {}, name = 'app') =>
  slot(name, 1, { type: 'logical', plugin: 'pgoutput', database: 'shop', ...over });
const app = { app: { type: 'logical', database: 'shop', plugin: 'pgoutput' } } as const;
const dropped = { drop: ['app'], create: [] };

describe.each([true, false])('a slot that nothing accounts for (on the primary: %s)', (primary) => {
  it.each([['physical', slot('app', 1)] as const, ['logical', logical()] as const])(
    'is dropped once it is unused for a loop_wait: %s',
    (_, one) => {
      expect(plan([one], { primary })).toMatchObject(dropped);
      expect(plan([one], { primary, forMs: LOOP_WAIT_MS - 1 })).toBeNull();
      expect(plan([{ ...one, active: true }], { primary })).toBeNull();
      expect(plan([one], { primary, dynamic: { pause: true } })).toBeNull();
      expect(plan([one], { primary, dynamic: { useSlots: false } })).toBeNull();
    },
  );

  it.each<[string, Record<string, string>]>([
    ['name', { name: 'app' }],
    ['type', { type: 'logical' }],
    ['database and plugin', { database: 'shop', plugin: 'pgoutput' }],
    ['an empty key beside another', { name: 'app', database: '' }],
    ['nothing', {}],
  ])('stays where ignore_slots matches it by %s', (_, matcher) => {
    expect(plan([logical()], { primary, dynamic: { ignoreSlots: [{ name: 'x' }, matcher] } })).toBeNull();
  });

  it('is dropped where a given key of ignore_slots differs', () => {
    for (const matcher of [{ plugin: 'wal2json' }, { name: 'app', type: 'physical' }, { database: 'other' }])
      expect(plan([logical()], { primary, dynamic: { ignoreSlots: [matcher] } })).toMatchObject(dropped);
    expect(plan([slot('app', 1)], { primary, dynamic: { ignoreSlots: [{ database: 'shop' }] } })).toMatchObject(dropped);
  });

  it('stays where Citus moves a shard by it', () => {
    expect(plan([logical({}, 'citus_shard_move_slot_2_10_3')], { primary })).toBeNull();
    expect(plan([logical({}, 'citus_shard_split_slot_2_x')], { primary })).not.toBeNull();
  });

  it('is not looked at while this node does not know its place', () => {
    expect(strangeSlots(scene([slot('app', 1)], { primary, leader: null }), {})).toEqual({});
    expect(plan([slot('app', 1)], { primary, leader: primary ? 'b' : null })?.kind === 'sync-slots').toBe(false);
  });
});

it('the moment from which a slot is unused is remembered, and forgotten when it is used', () => {
  expect(strangeSlots(scene([slot('app', 1)]), {})).toEqual({ app: 10_000 });
  expect(strangeSlots(scene([slot('app', 1)]), { app: 500 })).toEqual({ app: 500 });
  expect(strangeSlots(scene([slot('app', 1, { active: true })]), { app: 500 })).toEqual({});
});

it('a slot by which a subscription copies a table, or that standbys are to have, stays on the primary alone', () => {
  for (const one of [logical({}, 'pg_16394_sync_16385_7394912345678901234'), logical({ failover: true })]) {
    expect(plan([one], { primary: true })).toBeNull();
    expect(plan([one])).toMatchObject({ drop: [one.name] });
  }
});

describe('a slot in the place of a wanted one', () => {
  it.each([
    ['type', slot('app', 1)],
    ['plugin', logical({ plugin: 'wal2json' })],
    ['database', logical({ database: 'other' })],
  ])('is dropped when its %s is another, also in a pause', (_, one) => {
    for (const primary of [true, false])
      for (const pause of [true, false]) expect(plan([one], { primary, dynamic: { slots: app, pause } })).toMatchObject(dropped);
    expect(plan([{ ...one, active: true }], { dynamic: { slots: app } })).toBeNull();
    expect(plan([one], { dynamic: { slots: app, ignoreSlots: [{ name: 'app' }] } })).toBeNull();
  });

  it('of a member goes when it is logical, and the member’s is made in the next round', () => {
    const c = scene([], { sql: { slots: [slot('b', 1, { active: true }), logical({}, 'c')] } });
    expect(slotPlan(c)).toMatchObject({ drop: ['c'], create: [] });
  });
});

describe('a permanent slot', () => {
  const both = { ...app, dr: { type: 'physical' } } as const;

  it('is made where it is physical, on every node that may lead, but not for the node itself', () => {
    expect(plan([logical()], { dynamic: { slots: both } })).toMatchObject({ create: ['dr'], drop: [] });
    expect(plan([logical()], { primary: true, dynamic: { slots: both } })).toMatchObject({ create: ['dr'] });
    expect(plan([], { dynamic: { slots: { a: { type: 'physical' } } } })).toBeNull();
  });

  it('is no business of a standby that may not lead', () => {
    const o = scene([logical(), slot('dr', 1)], { dynamic: { slots: both } }).o;
    const c = { ...o, settings: settings('a', { dynamic: o.settings.dynamic, local: { tags: { nofailover: true } } }) };
    const seen = memory({ strangeSlots: { app: 0, dr: 0 } });
    expect(slotPlan(contextOf(c, seen))).toMatchObject({ create: [], drop: ['app', 'dr'] });
  });

  it('is left to PostgreSQL where that synchronizes it, and out of its way', () => {
    const dynamic = { slots: app };
    expect(plan([logical({ failover: true, synced: true })], { dynamic })).toBeNull();
    expect(plan([logical({ failover: true, synced: true })])).toBeNull();
    expect(plan([logical({ failover: true })], { dynamic })).toBeNull();
    expect(plan([logical({ failover: true })], { dynamic, sql: { syncsSlots: true } })).toMatchObject(dropped);
    expect(plan([logical({ failover: true })], { dynamic, primary: true, sql: { syncsSlots: true } })).toBeNull();
  });

  it('whose WAL is lost is made again, but not in a pause', () => {
    const lost = logical({ restartLsn: null, walStatus: 'lost' });
    for (const primary of [true, false]) {
      expect(plan([lost], { primary, dynamic: { slots: app } })).toMatchObject(dropped);
      expect(plan([lost], { primary, dynamic: { slots: app, pause: true } })).toBeNull();
      const physical = slot('dr', 1, { restartLsn: null, walStatus: 'lost' });
      expect(plan([physical], { primary, dynamic: { slots: { dr: both.dr } } })).toMatchObject({ renew: ['dr'], drop: [] });
      expect(plan([physical], { primary, dynamic: { slots: { dr: both.dr }, pause: true } })).toBeNull();
    }
  });
});

it('a slot of a member counts by the member’s own word where the leader’s Patroni publishes none', () => {
  const at = (version: string) => {
    const o = scene([]).o;
    if (!o.dcs.known) throw new Error('it is');
    const members = o.dcs.view.members.map((one) => (one.name === 'b' ? { ...one, version } : one));
    const c = contextOf({ ...o, dcs: { known: true, view: { ...o.dcs.view, members } } }, memory());
    const moved = { ...c, o: { ...c.o, pg: pg.standby({ slots: [slot('b', 1, { active: true }), slot('c', 500)] }) } };
    const effect = slotPlan(moved);
    return effect?.kind === 'sync-slots' ? effect.advance : null;
  };
  expect(at('3.0.2')).toEqual({ c: lsn(1000) });
  expect(at('4.1.4')).toBeNull();
});
