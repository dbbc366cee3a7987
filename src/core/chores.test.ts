/**
 * Chores that fail: what is remembered of them, when they are tried again, and what the log says.
 */
import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, pg, settings, view } from '../../test/support/build.ts';
import { workMemByRole } from '../../test/support/role-settings.ts';
import { type ChoreFailures, type ChoreOutcome, choreHoldOffMs, choreNotes } from './chores.ts';
import { decide } from './decide.ts';
import type { Memory } from './model.ts';
import type { RoleName } from './settings.ts';

const failed = (kind: ChoreOutcome['kind'], message: string, endedAtMs = 9_900): ChoreOutcome => ({
  kind,
  ok: false,
  code: 'X',
  message,
  endedAtMs,
});
const slots = { x: { type: 'physical' as const } };
/** A leader that wants a slot made. */
const leading = (over: Parameters<typeof observation>[0] = {}) =>
  observation({
    view: view({ leaderName: 'a', members: [member('a', { role: 'primary' })] }),
    pg: pg.primary(),
    settings: settings('a', { dynamic: { useSlots: true, slots } }),
    ...over,
  });
const kinds = (decision: ReturnType<typeof decide>) => decision.chores.map(({ kind }) => kind);

describe('a chore that failed', () => {
  it('is held off, longer and longer, and no other is', () => {
    let before: Memory = memory();
    const waits: number[] = [];
    for (let nowMs = 10_000, tries = 0; tries < 7; tries += 1) {
      const decision = decide(leading({ nowMs, lease: { leaseId: 'lease-a', confirmedSentAtMs: nowMs, ttlSeconds: 30 } }), before);
      expect(kinds(decision)).toEqual(expect.arrayContaining(['status', 'slots']));
      const chores = [failed('slots', 'all replication slots are in use', nowMs)];
      const after = decide(
        leading({ nowMs, lease: { leaseId: 'lease-a', confirmedSentAtMs: nowMs, ttlSeconds: 30 }, chores }),
        decision.memory,
      );
      expect(kinds(after)).toContain('status');
      expect(kinds(after)).not.toContain('slots');
      waits.push(choreHoldOffMs(after.memory.chores, 'slots', { nowMs }));
      before = after.memory;
      nowMs += waits.at(-1) ?? 0;
    }
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  });

  it('of the synchronous set is tried again within a second, however often it failed', () => {
    const failure = { count: 20, sinceMs: 0, lastAtMs: 10_000, message: 'x' };
    expect(choreHoldOffMs({ sync: failure }, 'sync', { nowMs: 10_000 })).toBe(1000);
    expect(choreHoldOffMs({ 'let-go': failure }, 'let-go', { nowMs: 10_999 })).toBe(1);
  });

  it('is tried at once with other settings than those it failed with, and held off with them in its turn', () => {
    const chores = [{ ...failed('slots', 'x', 9_900), configVersion: 3 }];
    const held = decide(leading({ chores, configVersion: 3 }), memory());
    expect(kinds(held)).not.toContain('slots');
    expect(kinds(decide(leading({ configVersion: 4 }), held.memory))).toContain('slots');
    const again = decide(leading({ chores: [{ ...failed('slots', 'x', 9_950), configVersion: 4 }], configVersion: 4 }), held.memory);
    expect(kinds(again)).not.toContain('slots');
    expect(again.memory.chores.slots).toMatchObject({ count: 2 });
  });

  it('wakes the loop when its time has come', () => {
    const decision = decide(leading({ chores: [failed('slots', 'x', 9_900)] }), memory());
    expect(decision.wakeAtMs).toBe(10_900);
  });

  it('is forgotten once it succeeds, and once it is no longer wanted', () => {
    const chores: ChoreFailures = { slots: { count: 3, sinceMs: 0, lastAtMs: 0, message: 'x' } };
    const done = decide(
      leading({ chores: [{ kind: 'slots', ok: true, code: null, message: null, endedAtMs: 9_000 }] }),
      memory({ chores }),
    );
    expect(done.memory.chores).toEqual({});
    expect(decide(leading(), memory({ chores })).memory.chores).toEqual(chores);
    const without = leading({ settings: settings('a', { dynamic: { useSlots: true } }) });
    expect(decide(without, memory({ chores })).memory.chores).toEqual({});
  });

  it('stays known while nothing is put in order: a job runs, or etcd does not answer', () => {
    const chores: ChoreFailures = { slots: { count: 3, sinceMs: 0, lastAtMs: 0, message: 'x' } };
    const job = { job: { kind: 'handover', action: 'switchover', candidate: null } as const, startedAtMs: 0 };
    expect(decide(leading({ job }), memory({ chores })).memory.chores).toEqual(chores);
    expect(decide(leading({ view: null }), memory({ chores })).memory.chores).toEqual(chores);
  });
});

it('files that cannot be written still count as failing while no member leads and they have to wait', () => {
  const chores: ChoreFailures = { files: { count: 1, sinceMs: 0, lastAtMs: 0, message: 'x' } };
  const leaderless = decide(observation({ configDirty: true }), memory({ chores }));
  expect(leaderless.memory.chores).toEqual(chores);
  expect(kinds(leaderless)).not.toContain('files');
  expect(leaderless.effects.some(({ kind }) => kind === 'apply-config')).toBe(false);
});

it('the synchronous set comes before every key, file and slot; the files of the same round keep what it leaves in them', () => {
  const synchronous = settings('a', { dynamic: { synchronousMode: 'on', useSlots: true, slots } });
  const streaming = { pid: 1, usename: 'r', applicationName: 'b', clientAddr: null, state: 'streaming', syncState: 'async' } as const;
  const sender = { ...streaming, syncPriority: 0, writeLsn: lsn(1000), flushLsn: lsn(1000), replayLsn: lsn(1000), replyTime: '1' };
  const sync = { leader: 'a', quorum: 0, standbys: [], modRevision: '8' };
  const seen = view({ leaderName: 'a', members: [member('a', { role: 'primary' }), member('b')], sync });
  const o = leading({ view: seen, pg: pg.primary({ replication: [sender] }), settings: synchronous, configDirty: true });
  const decision = decide(o, memory({ announcedRole: 'primary', role: 'primary' }));
  expect(kinds(decision)).toEqual(['sync', 'status', 'files', 'slots']);
  const names = decision.effects.find((effect) => effect.kind === 'set-sync-names');
  const files = decision.effects.find((effect) => effect.kind === 'apply-config');
  expect(names?.value).toBe('b');
  expect(files?.role).toMatchObject({ kind: 'primary' });
});

describe('files that were written for another role', () => {
  const byRole = { ...settings('a', { dynamic: { useSlots: true } }), byRole: workMemByRole() };
  const filesOf = (filesFor: RoleName | null, own = byRole, facts = pg.primary()) => {
    const decision = decide(leading({ settings: own, pg: { ...facts, filesFor } }), memory({ announcedRole: 'primary', role: 'primary' }));
    return decision.effects.find((effect) => effect.kind === 'apply-config')?.role ?? null;
  };

  it('are written again after a promotion, as a change of the settings is', () => {
    expect(filesOf('replica')).toMatchObject({ kind: 'primary' });
    expect(filesOf(null)).toMatchObject({ kind: 'primary' });
    expect(filesOf('primary')).toBeNull();
  });

  it('stay where the settings of both roles are the same', () => {
    expect(filesOf('standby_leader', { ...byRole, byRole: { ...byRole.byRole, primary: byRole.byRole.standby_leader } })).toBeNull();
    expect(filesOf('replica', { ...settings('a', { dynamic: { useSlots: true } }), byRole: byRole.byRole })).not.toBeNull();
    expect(filesOf('replica', settings('a', { dynamic: { useSlots: true } }) as typeof byRole)).toBeNull();
  });

  it('of a primary that became a replica are written for that, once somebody leads', () => {
    const facts = pg.standby({ primaryConninfo: 'host=b port=5432' });
    const of = (leaderName: string | undefined) =>
      decide(
        observation({
          settings: byRole,
          pg: { ...facts, filesFor: 'primary' },
          view: view({ ...(leaderName && { leaderName }), members: [member('a'), member('b', { role: 'primary' })] }),
        }),
        memory({ announcedRole: 'replica', role: 'replica' }),
      ).effects.find((effect) => effect.kind === 'apply-config');
    expect(of('b')).toMatchObject({ role: { kind: 'standby', source: { name: 'b' } } });
    expect(of(undefined)).toBeUndefined();
  });
});

describe('the log tells of a chore', () => {
  const is = (message: string): ChoreFailures => ({ slots: { count: 1, sinceMs: 0, lastAtMs: 0, message } });
  it.each([
    ['when it begins to fail', {}, is('full'), ['warning replication slots: full; everything else goes on, and this is tried again']],
    ['not again while it fails', is('full at 1/2'), is('full at 1/3'), []],
    [
      'when the cause changes',
      is('full'),
      is('no answer'),
      ['warning replication slots: no answer; everything else goes on, and this is tried again'],
    ],
    ['when it does not fail any more', is('full'), {}, ['info replication slots: no longer failing']],
  ])('%s', (_, before, after, expected) => {
    expect(choreNotes(before, after).map(({ level, text }) => `${level} ${text}`)).toEqual(expected);
  });
});
