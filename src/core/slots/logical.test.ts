/** S14: a consumer of a permanent logical slot goes on after a failover where it was. */
import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, pg, settings, slot, view, walreceiver } from '../../../test/support/build.ts';
import { type Context, contextOf } from '../context.ts';
import { decide } from '../decide.ts';
import type { JobOutcome } from '../effects.ts';
import type { Memory, Observation } from '../model.ts';
import type { SlotFacts, SqlFacts } from '../postgres-facts.ts';
import { remember } from '../remember.ts';
import type { Settings } from '../settings.ts';
import { awaitsCopy, copyJob, logicalAfter, lookOut } from './copies.ts';
import { doubtsOfPromotion, logicalWork, missingLogical } from './logical.ts';
import { isLaterXid, type LogicalMemory, type LogicalOutcome, noLogicalMemory } from './logical-work.ts';

const app = { app: { type: 'logical', database: 'shop', plugin: 'pgoutput' } } as const;
const copy = (over: Partial<SlotFacts> = {}) =>
  slot('app', 400, { type: 'logical', plugin: 'pgoutput', database: 'shop', confirmedFlushLsn: lsn(500), catalogXmin: '700', ...over });
const receiver = walreceiver({ slotName: 'a', latestEndLsn: lsn(1000) });

interface Scene {
  readonly slots?: readonly SlotFacts[];
  /** What the leader says of it; null: it has none. */
  readonly told?: number | null;
  readonly dynamic?: Partial<Settings['dynamic']>;
  readonly tags?: Settings['local']['tags'];
  readonly sql?: Partial<SqlFacts>;
  readonly logical?: Partial<LogicalMemory>;
  readonly memory?: Partial<Memory>;
  readonly more?: Partial<Omit<Observation, 'authority' | 'settings' | 'dcs'>>;
  readonly members?: Parameters<typeof view>[0];
}

const members = (...over: readonly Parameters<typeof member>[1][]) =>
  ['a', 'b', 'c'].map((name, i) => member(name, { ...(name === 'b' && { role: 'primary' }), ...over[i] }));

/** Member a follows b. */
function standby(scene: Scene = {}): Context {
  const { slots = [copy()], told = 900, dynamic, tags = {}, sql = {}, logical = {}, memory: m = {}, more = {} } = scene;
  const status = { optime: lsn(1000), slots: told === null ? {} : { app: lsn(told) }, retainSlots: [] };
  const o = observation({
    view: view({ leaderName: 'b', members: members(), status, ...scene.members }),
    settings: settings('a', { dynamic: { useSlots: true, slots: app, ...dynamic }, local: { tags } }),
    pg: pg.standby({ slots, receiver, ...sql }),
    ...more,
  });
  return contextOf(o, memory({ ...m, logical: { ...noLogicalMemory, leader: 'b', ...logical } }));
}

function primary(slots: readonly SlotFacts[], over: Partial<Parameters<typeof observation>[0]> = {}): Context {
  const o = observation({
    view: view({ leaderName: 'a' }),
    settings: settings('a', { dynamic: { useSlots: true, slots: app } }),
    pg: pg.primary({ slots }),
    ...over,
  });
  return contextOf(o, memory());
}

const work = (c: Context) => {
  const effect = logicalWork(c);
  return effect?.kind === 'logical-slots' ? effect.work : null;
};
const moved = (scene: Scene) =>
  work(standby({ ...scene, logical: { safeFrom: { app: '1' }, ...scene.logical } }))?.advance.map(({ to }) => to) ?? null;

describe('a permanent logical slot on the primary', () => {
  it('is made in its database with its plugin where there is none of that name', () => {
    expect(work(primary([]))).toEqual({ create: [{ name: 'app', database: 'shop', plugin: 'pgoutput' }], advance: [], compare: null });
    expect(work(primary([copy()]))).toBeNull();
    // What is in its place is dropped first.
    expect(work(primary([copy({ plugin: 'wal2json' })]))).toBeNull();
  });

  it('is not made by a primary that does not lead', () => {
    expect(work(primary([], { view: view({ leaderName: 'b' }) }))).toBeNull();
    expect(work(primary([], { nowMs: 60_000 }))).toBeNull();
  });
});

describe('its copy on a standby', () => {
  it('is moved to what the leader says, never past what is replayed here, and never back', () => {
    expect(moved({})).toEqual([lsn(900)]);
    expect(moved({ told: 1500 })).toEqual([lsn(1000)]);
    expect(moved({ told: 500 })).toBeNull();
    expect(moved({ told: null })).toBeNull();
    expect(moved({ sql: { replayLsn: null } })).toBeNull();
  });

  it('is left alone while it is in use, broken, lost, of another kind, ignored, or PostgreSQL’s own', () => {
    expect(moved({ slots: [copy({ active: true })] })).toBeNull();
    expect(moved({ logical: { broken: ['app'] } })).toBeNull();
    expect(moved({ slots: [copy({ walStatus: 'lost' })] })).toBeNull();
    expect(moved({ slots: [copy({ database: 'other' })] })).toBeNull();
    expect(moved({ dynamic: { ignoreSlots: [{ name: 'app' }] } })).toBeNull();
    expect(moved({ slots: [copy({ failover: true, synced: true })] })).toBeNull();
    expect(moved({ slots: [copy({ failover: true })] })).toEqual([lsn(900)]);
  });

  it('is moved once in a loop_wait', () => {
    expect(moved({ logical: { endedAtMs: 1 } })).toBeNull();
    expect(moved({ logical: { endedAtMs: 0 } })).toEqual([lsn(900)]);
  });

  it('is no business of a standby that may not lead or does not stream', () => {
    for (const tags of [{ nofailover: true }, { failover_priority: 0 }, { nostream: true }]) expect(moved({ tags })).toBeNull();
  });
});

describe('whether a copy is safe to read', () => {
  const held = (physical: string | null, logical: string | null): LogicalOutcome => ({
    endedAtMs: 9000,
    broken: [],
    held: { leader: 'b', physical, logical: { app: logical } },
  });
  const proven = (outcome: LogicalOutcome, xmin = '700') =>
    logicalAfter(standby({ slots: [copy({ catalogXmin: xmin })], more: { logical: [outcome] } })).safeFrom;
  const compared = (c: Context) => work(c)?.compare ?? null;
  const doubts = (safeFrom: Record<string, string>, xmin: string) =>
    doubtsOfPromotion(standby({ slots: [copy({ catalogXmin: xmin })], logical: { safeFrom } }));

  it('is asked of the leader, which this node’s feedback reaches through its own slot or its source’s', () => {
    expect(compared(standby())).toEqual({ leader: { name: 'b', host: 'b', port: 5432 }, physical: 'a', names: ['app'] });
    expect(compared(standby({ logical: { safeFrom: { app: '700' } } }))).toBeNull();
    const cascading = standby({ tags: { replicatefrom: 'c' }, members: { members: members({ tags: { replicatefrom: 'c' } }) } });
    expect(compared(cascading)).toMatchObject({ physical: 'c' });
    expect(compared(standby({ slots: [] }))).toBeNull();
    expect(compared(standby({ logical: { broken: ['app'] } }))).toBeNull();
  });

  it('is known from where the leader’s own slot was when the leader first held back what this node needs', () => {
    expect(proven(held('700', '705'))).toEqual({ app: '705' });
    expect(proven(held('690', '705'))).toEqual({ app: '705' });
    expect(proven(held('701', '705'))).toEqual({});
    expect(proven(held(null, '705'))).toEqual({});
    expect(proven(held('700', null))).toEqual({});
    expect(proven({ ...held('700', '705'), broken: ['app'] })).toEqual({});
    expect(proven({ ...held('700', '705'), held: { leader: 'c', physical: '700', logical: { app: '705' } } })).toEqual({});
  });

  it('is named where there is none: a promotion would create the slot again', () => {
    expect(missingLogical(standby())).toEqual([]);
    expect(missingLogical(standby({ slots: [] }))).toEqual(['app']);
    expect(missingLogical(standby({ logical: { broken: ['app'] } }))).toEqual(['app']);
    expect(missingLogical(standby({ slots: [copy({ plugin: 'wal2json' })] }))).toEqual(['app']);
    // New, as far as the leader tells; of no use to a member that may not lead; not kept at all.
    expect(missingLogical(standby({ slots: [], told: null }))).toEqual([]);
    expect(missingLogical(standby({ slots: [], tags: { nofailover: true } }))).toEqual([]);
    expect(missingLogical(standby({ slots: [], dynamic: { slots: {} } }))).toBeNull();
    expect(missingLogical(primary([]))).toBeNull();
  });

  it('is told at a promotion where it is not known to be', () => {
    expect(doubts({ app: '700' }, '700')).toEqual([]);
    expect(doubts({ app: '700' }, '710')).toEqual([]);
    expect(doubts({ app: '701' }, '700')).toEqual([
      expect.stringMatching(/^logical replication slot app might be unsafe to use after the promotion/),
    ]);
    expect(doubts({}, '700')).toHaveLength(1);
    expect(doubtsOfPromotion(standby({ slots: [] }))).toEqual([expect.stringContaining('is created again: its consumer misses')]);
    expect(doubtsOfPromotion(standby({ slots: [], told: null }))).toEqual([]);
    for (const over of [{ plugin: 'wal2json' }, { database: 'other' }, { type: 'physical' as const }])
      expect(doubtsOfPromotion(standby({ slots: [copy(over)] }))).toEqual([expect.stringContaining('is created again')]);
  });

  it('is to be proven again for another leader, and after a copy', () => {
    const again = standby({ logical: { leader: 'c', safeFrom: { app: '700' } } });
    expect(logicalAfter(again)).toMatchObject({ leader: 'b', safeFrom: {} });
    const copied = standby({
      logical: { safeFrom: { app: '700' }, broken: ['app'] },
      more: { ended: [ended({ copied: ['app'], stopped: true })] },
    });
    expect(logicalAfter(copied)).toMatchObject({ safeFrom: {}, broken: [], copies: { app: { count: 1, atMs: 9000 } } });
    const both = { ...job, slots: ['app', 'other'] };
    const other = standby({ logical: { broken: ['app'] }, more: { ended: [ended({ job: both, copied: ['other'], stopped: true })] } });
    expect(logicalAfter(other)).toMatchObject({ broken: ['app'], copies: { app: { count: 1 }, other: { count: 1 } } });
  });

  it('counts transaction ids round the clock', () => {
    expect(isLaterXid('701', '700')).toBe(true);
    expect(isLaterXid('700', '700')).toBe(false);
    expect(isLaterXid('5', '4294967290')).toBe(true);
    expect(isLaterXid('4294967290', '5')).toBe(false);
  });
});

const job = {
  kind: 'copy-slots',
  source: { name: 'b', host: 'b', port: 5432 },
  slots: ['app'],
  role: { kind: 'standby', source: null },
} as const;
const ended = (over: Partial<JobOutcome> = {}): JobOutcome => ({ job, ok: true, code: null, message: null, endedAtMs: 9000, ...over });

describe('slots are copied from the leader', () => {
  const copied = (scene: Scene = {}) =>
    copyJob(standby({ slots: [], ...scene, logical: { missingSinceMs: 5000, ...scene.logical } }))?.slots ?? null;

  it('where it has them and this node has not, or has them in vain', () => {
    expect(copied()).toEqual(['app']);
    expect(copied({ told: null })).toBeNull();
    expect(copied({ slots: [copy()] })).toBeNull();
    expect(copied({ slots: [copy()], logical: { broken: ['app'] } })).toEqual(['app']);
    expect(copied({ slots: [copy({ failover: true, synced: true })], logical: { broken: ['app'] } })).toBeNull();
  });

  it('not in a pause, before it streams in order, while the leader settles, or before a handover', () => {
    expect(copied({ dynamic: { pause: true } })).toBeNull();
    expect(copied({ sql: { receiver: null } })).toBeNull();
    for (const leader of [{ checkpointAfterPromote: false }, { state: 'stopping' as const }, { role: 'replica' as const }])
      expect(copied({ members: { members: members({}, leader) } })).toBeNull();
    const request = { leader: 'b', candidate: null, scheduledAtMs: null, scheduledAt: null, modRevision: '9' };
    expect(copied({ members: { failover: request } })).toBeNull();
    const later = { ...request, scheduledAtMs: 1_800_000_000_000 + 3_600_000, scheduledAt: 'x' };
    expect(copied({ members: { failover: later } })).toEqual(['app']);
  });

  it('by one member at a time, in the order of their names', () => {
    for (const other of [
      { state: 'restarting' as const },
      { state: 'starting' as const },
      { tags: { nosync: true, sync_priority: 0 }, lsn: null },
    ])
      expect(copied({ members: { members: members({}, {}, other) } })).toBeNull();
    for (const other of [{ state: 'start failed' as const }, { tags: { nosync: true, sync_priority: 0 } }])
      expect(copied({ members: { members: members({}, {}, other) } })).toEqual(['app']);
  });

  it('after the members before it that wait too, but not for ever', () => {
    const streams = { replicationState: 'streaming' } as const;
    const waited = (raw: Record<string, boolean>, waitedMs: number, state: Parameters<typeof member>[1] = streams) => {
      const first = member('A', { raw, ...state });
      const scene = { members: { members: [...members(), first] }, logical: { missingSinceMs: 10_000 - waitedMs } };
      return [copied(scene) !== null, lookOut(standby({ slots: [], ...scene }))];
    };
    const waits = { awaits_slot_copy: true };
    expect(waited({}, 999)).toEqual([false, { wakeInMs: 1, watchMembers: true }]);
    expect(waited({}, 1000)).toEqual([true, { watchMembers: true }]);
    expect(waited(waits, 1000)).toEqual([false, { wakeInMs: 3000, watchMembers: true }]);
    expect(waited(waits, 4000)).toEqual([true, { watchMembers: true }]);
    // It has its copy, and is not back among the standbys that commits may wait for.
    expect(waited({}, 1000, { replicationState: null })[0]).toBe(false);
    expect(waited({}, 4000, { replicationState: null })[0]).toBe(true);
    expect(waited({}, 1000, { state: 'stopped' })[0]).toBe(true);
    const last = [...members(), member('z', { raw: waits })];
    expect(copied({ members: { members: last }, logical: { missingSinceMs: 10_000 } })).toEqual(['app']);
  });

  it('and tells that it waits, unless its try failed', () => {
    expect(awaitsCopy(standby({ slots: [] }))).toBe(true);
    expect(awaitsCopy(standby())).toBe(false);
    expect(awaitsCopy(standby({ slots: [], dynamic: { pause: true } }))).toBe(false);
    const failures = { 'copy-slots': { count: 1, lastAtMs: 9500, message: 'why' } };
    expect(awaitsCopy(standby({ slots: [], memory: { failures } }))).toBe(false);
    expect(lookOut(standby({ slots: [], memory: { failures } }))).toEqual({ wakeInMs: 1500, watchMembers: false });
  });

  it('as soon as the leader tells that it has them', () => {
    const { o, m } = standby({ slots: [], told: null });
    expect(decide(o, m)).toMatchObject({ rule: 'standby.follow', watchStatus: true });
    for (const scene of [{ slots: [], told: null, dynamic: { slots: {} } }, {}]) {
      const { o: other } = standby(scene);
      expect(decide(other, m)).toMatchObject({ rule: 'standby.follow', watchStatus: false });
    }
  });

  it('not again soon: neither after a failure nor for a slot that breaks again', () => {
    const failed = (lastAtMs: number) => ({ failures: { 'copy-slots': { count: 2, lastAtMs, message: 'why' } } });
    expect(copied({ memory: failed(6001) })).toBeNull();
    expect(copied({ memory: failed(6000) })).toEqual(['app']);
    const nowMs = 1_000_000;
    const waits = (minutes: number, count: number) =>
      copied({ more: { nowMs }, logical: { copies: { app: { count, atMs: nowMs - minutes * 60_000 } } } });
    expect([waits(4, 1), waits(5, 1), waits(9, 2), waits(10, 2), waits(59, 9), waits(60, 9)].map((slots) => slots !== null)).toEqual([
      false,
      true,
      false,
      true,
      false,
      true,
    ]);
  });

  it('again at once on data that were copied anew', () => {
    const copies = { app: { count: 3, atMs: 9000 } };
    const cloned = ended({ job: { kind: 'reinitialize', source: job.source, fromLeader: false } });
    expect(logicalAfter(standby({ logical: { copies }, more: { ended: [cloned] } }))).toMatchObject({ copies: {} });
  });

  it('and a failure is forgotten once none is missing', () => {
    const failures = { 'copy-slots': { count: 1, lastAtMs: 9000, message: 'why' } };
    const remembered = (slots: readonly SlotFacts[]) => {
      const { o, m } = standby({ slots, memory: { failures } });
      return Object.keys(remember(o, m).failures);
    };
    expect(remembered([])).toEqual(['copy-slots']);
    expect(remembered([copy()])).toEqual([]);
  });

  it('from the moment on that a slot is missing', () => {
    expect(logicalAfter(standby({ slots: [] })).missingSinceMs).toBe(10_000);
    expect(logicalAfter(standby({ slots: [], logical: { missingSinceMs: 7 } })).missingSinceMs).toBe(7);
    expect(logicalAfter(standby({ logical: { missingSinceMs: 7 } })).missingSinceMs).toBeNull();
  });
});

it('nothing is remembered where no logical slot is permanent', () => {
  const c = contextOf(standby({ dynamic: { slots: {} } }).o, memory());
  expect(logicalAfter(c)).toBe(noLogicalMemory);
  expect(logicalWork(c)).toBeNull();
});
