/** Names count once commits are known to wait as they say. */
import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, pg, settings, view, walsender } from '../../test/support/build.ts';
import { decide } from './decide.ts';
import type { Memory } from './model.ts';
import type { DynamicSettings } from './settings.ts';

interface Scene {
  readonly names?: string;
  readonly obeyed: boolean;
  readonly nowMs?: number;
  readonly quorum?: number;
  readonly standbys?: readonly string[];
  readonly connected?: readonly string[];
  readonly dynamic?: Partial<DynamicSettings>;
}

const NAMES = 'ANY 1 (b,c)';

function leading(scene: Scene, before: Memory = memory({ role: 'primary', state: 'running' })) {
  const { names = NAMES, obeyed, nowMs = 10_000, quorum = 1, standbys = ['b', 'c'], connected = ['b', 'c'], dynamic } = scene;
  const members = [member('a', { role: 'primary' }), member('b'), member('c')];
  const replication = connected.map((name, i) => walsender(name, { pid: i + 1, syncState: 'quorum', replyTime: String(nowMs) }));
  const o = observation({
    nowMs,
    lease: { leaseId: 'lease-a', confirmedSentAtMs: nowMs - 100, ttlSeconds: 30 },
    view: { ...view({ leaderName: 'a', members }), sync: { leader: 'a', quorum, standbys, modRevision: '7' } },
    pg: pg.primary({ flushLsn: lsn(1000), synchronousStandbyNames: names, obeysSyncNames: obeyed, replication }),
    settings: settings('a', { dynamic: { synchronousMode: 'quorum', ...dynamic } }),
  });
  const decision = decide(o, before);
  const changes = decision.effects.filter(({ kind }) => kind === 'set-sync-names' || kind === 'write-sync');
  return { changes, decision, memory: decision.memory };
}

const look = (value: string) => [{ kind: 'set-sync-names', value }];

it('a restarted agent whose /sync is final looks once, and writes nothing', () => {
  const first = leading({ obeyed: false });
  expect(first.changes).toEqual(look(NAMES));
  expect(leading({ obeyed: true, nowMs: 10_100 }, first.memory).changes).toEqual([]);
  expect(leading({ obeyed: true, nowMs: 12_000 }, first.memory).changes).toEqual([]);
});

it('/sync is not relaxed while they are not, and the time to settle begins when they are', () => {
  const careful = { quorum: 2 };
  let at = leading({ ...careful, obeyed: false });
  for (const nowMs of [11_000, 30_000]) {
    at = leading({ ...careful, obeyed: false, nowMs }, at.memory);
    expect(at.changes).toEqual(look(NAMES));
    expect(at.memory.syncNamesSet).toMatchObject({ atMs: 10_000, atLsn: null });
  }
  at = leading({ ...careful, obeyed: true, nowMs: 30_100 }, at.memory);
  expect([at.changes, at.memory.syncNamesSet]).toEqual([[], { value: NAMES, atMs: 30_100, atLsn: null }]);
  at = leading({ ...careful, obeyed: true, nowMs: 30_200 }, at.memory);
  expect(at.memory.syncNamesSet?.atLsn).toBeNull();
  at = leading({ ...careful, obeyed: true, nowMs: 30_300 }, at.memory);
  expect(at.changes).toMatchObject([{ kind: 'write-sync', quorum: 1, standbys: ['b', 'c'] }]);
});

it('in mode on, the standby that commits may not wait for is not listed', () => {
  const on = { names: 'b', quorum: 0, standbys: [], dynamic: { synchronousMode: 'on' as const } };
  const first = leading({ ...on, obeyed: false });
  expect(first.changes).toEqual(look('b'));
  expect(leading({ ...on, obeyed: false, nowMs: 20_000 }, first.memory).changes).toEqual(look('b'));
});

describe('strict, without a standby', () => {
  const strict = { synchronousModeStrict: true };
  const nobody = '__patroni_strict_sync_replica_placeholder__';

  it.each([
    ['quorum', NAMES, ['b', 'c'], 1],
    ['quorum', `ANY 1 (${nobody})`, [], 0],
    ['on', '2 (b,c)', ['b', 'c'], 0],
    ['on', nobody, [], 0],
  ] as const)('mode %s looks whether commits wait for %s', (synchronousMode, names, standbys, quorum) => {
    const scene = { names, standbys, quorum, connected: [], dynamic: { ...strict, synchronousMode } };
    expect(leading({ ...scene, obeyed: false }).changes).toEqual(look(names));
    expect(leading({ ...scene, obeyed: true }).changes).toEqual([]);
  });
});

it('names whose standby has gone are not kept until they are', () => {
  const gone = leading({ obeyed: false, connected: ['b'] });
  expect(gone.changes).toEqual(look('ANY 1 (b)'));
});

it('a look that fails is tried again after its hold-off, and no round comes sooner for it', () => {
  const failed = { count: 3, sinceMs: 5000, lastAtMs: 9900, message: 'its checkpointer is busy' };
  const held = leading(
    { obeyed: false },
    memory({ role: 'primary', state: 'running', announcedRole: 'primary', chores: { sync: failed } }),
  );
  expect([held.changes, held.decision.wakeAtMs]).toEqual([[], 10_900]);
});
