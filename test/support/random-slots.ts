/** Random rounds of member `a` in a cluster of three, with slots of every kind in every place. */
import fc from 'fast-check';
import type { Memory, Observation } from '../../src/core/model.ts';
import type { SlotFacts } from '../../src/core/postgres-facts.ts';
import type { PermanentSlot } from '../../src/core/settings.ts';
import { noLogicalMemory } from '../../src/core/slots/logical-work.ts';
import { lsn, member, memory, observation, pg, settings, slot, view, walreceiver } from './build.ts';

const position = fc.constantFrom(lsn(500), lsn(900), lsn(1000), lsn(1200));
/** Of members, of one that is away, of permanent ones, and of none of them. */
const NAMES = ['a', 'b', 'c', 'away', 'dr', 'app', 'by_hand', 'citus_shard_move_slot_1_2', 'pg_1_sync_2_3'];

const existing = (name: string): fc.Arbitrary<SlotFacts> =>
  fc
    .record({
      logical: name === 'app' ? fc.constantFrom(true, true, true, false) : fc.boolean(),
      active: fc.nat(3).map((n) => n === 0),
      restartLsn: fc.option(position, { freq: 6 }),
      confirmedFlushLsn: position,
      xmin: fc.constantFrom(null, null, '725'),
      catalogXmin: fc.constantFrom(null, '700', '725', '750'),
      walStatus: fc.constantFrom('reserved', 'reserved', 'extended', 'lost'),
      failover: fc.nat(2).map((n) => n === 0),
      synced: fc.boolean(),
      plugin: fc.constantFrom('pgoutput', 'pgoutput', 'wal2json'),
      database: fc.constantFrom('shop', 'shop', 'other'),
    })
    .map(({ logical, confirmedFlushLsn, failover, synced, plugin, database, ...facts }) => {
      const own = { confirmedFlushLsn, failover, ...(failover && synced && { synced }), plugin, database };
      return slot(name, 0, { ...facts, type: logical ? 'logical' : 'physical', ...(logical && own) });
    });

const slots = fc
  .subarray(NAMES)
  .chain((names) => fc.tuple(...names.map(existing)))
  .map((all): readonly SlotFacts[] => all);

const permanent: fc.Arbitrary<Readonly<Record<string, PermanentSlot>>> = fc.constantFrom<Readonly<Record<string, PermanentSlot>>>(
  {},
  { dr: { type: 'physical' } },
  { app: { type: 'logical', database: 'shop', plugin: 'pgoutput' } },
  { app: { type: 'logical', database: 'shop', plugin: 'pgoutput' }, dr: { type: 'physical' }, b: { type: 'physical' } },
);

const matcher = fc.record(
  {
    name: fc.constantFrom(...NAMES, ''),
    type: fc.constantFrom('physical', 'logical'),
    database: fc.constantFrom('shop', 'other'),
    plugin: fc.constantFrom('pgoutput', 'wal2json'),
  },
  { requiredKeys: [] },
);

export const slotRound: fc.Arbitrary<{ readonly o: Observation; readonly m: Memory }> = fc
  .record({
    slots,
    permanent,
    ignoreSlots: fc.constantFrom(0, 0, 1, 2).chain((length) => fc.array(matcher, { minLength: length, maxLength: length })),
    pause: fc.constantFrom(false, false, true),
    ttl: fc.constantFrom(0, 1800, 1800),
    leader: fc.constantFrom('a', 'b', 'b', null),
    tags: fc.constantFrom({}, {}, {}, { nofailover: true }, { nostream: true }),
    theirs: fc.constantFrom({}, {}, { replicatefrom: 'a' }, { nostream: true }),
    published: fc.dictionary(fc.constantFrom(...NAMES), position),
    forgotten: fc.constantFrom({}, {}, { away: 1 }),
    syncsSlots: fc.boolean(),
    streams: fc.nat(4).map((n) => n > 0),
    broken: fc.constantFrom([], [], [], ['app']),
  })
  .map((d) => {
    const facts = { slots: d.slots, ...(d.syncsSlots && { syncsSlots: true as const }) };
    const receiver = walreceiver({ slotName: 'a', latestEndLsn: lsn(1000) });
    const members = ['a', 'b', 'c'].map((name) =>
      member(name, { ...(name === d.leader && { role: 'primary' }), ...(name === 'c' && { tags: d.theirs }) }),
    );
    const o = observation({
      view: view({
        ...(d.leader !== null && { leaderName: d.leader }),
        members,
        status: { optime: lsn(1000), slots: d.published, retainSlots: ['away'], forgotten: d.forgotten },
      }),
      settings: settings('a', {
        dynamic: {
          useSlots: true,
          pause: d.pause,
          slots: d.permanent,
          ignoreSlots: d.ignoreSlots,
          memberSlotsTtlSeconds: d.ttl,
        },
        local: { tags: d.tags },
      }),
      pg: d.leader === 'a' ? pg.primary(facts) : pg.standby({ ...facts, receiver: d.streams ? receiver : null }),
      lease: { leaseId: 'lease-a', confirmedSentAtMs: 9000, ttlSeconds: 30 },
      key: { leaseId: 'lease-a', stepDownAtMs: 33_000 },
      nowMs: 60_000,
    });
    return {
      o,
      m: memory({
        logical: { ...noLogicalMemory, broken: d.broken },
        slotSeenAtMs: { away: 50_000, b: 60_000, c: 60_000 },
        strangeSlots: Object.fromEntries(NAMES.map((name) => [name, 1000])),
      }),
    };
  });
