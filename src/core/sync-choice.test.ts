/** Which standbys become synchronous: `sync_priority`, `maximum_lag_on_syncnode`. */
import { expect, it } from 'vitest';
import { lsn, member, memory, observation, pg, settings, sql, view, walsender } from '../../test/support/build.ts';
import type { Member } from './cluster.ts';
import { contextOf } from './context.ts';
import { decide } from './decide.ts';
import type { DynamicSettings } from './settings.ts';
import { syncStep } from './sync.ts';

interface Standby {
  readonly at: number;
  readonly tags?: Member['tags'];
}

/** The names that a leader in mode `on` hands to PostgreSQL. */
function namesGiven(standbys: Readonly<Record<string, Standby>>, dynamic: Partial<DynamicSettings> = {}): string | undefined {
  const names = Object.keys(standbys);
  const others = names.map((name) => member(name, { tags: standbys[name]!.tags ?? {}, lsn: lsn(standbys[name]!.at) }));
  const replication = names.map((name) => {
    const at = lsn(standbys[name]!.at);
    return walsender(name, { writeLsn: at, flushLsn: at, replayLsn: at });
  });
  const primary = pg.primary({ flushLsn: lsn(10_000), replication });
  const { effects } = decide(
    observation({
      view: view({
        leaderName: 'a',
        members: [member('a', { role: 'primary' }), ...others],
        sync: { leader: 'a', quorum: 0, standbys: [], modRevision: '7' },
      }),
      pg: { ...primary, sql: sql({ ...primary.sql, synchronousStandbyNames: '' }) },
      settings: settings('a', { dynamic: { synchronousMode: 'on', ...dynamic } }),
    }),
    memory(),
  );
  const set = effects.find(({ kind }) => kind === 'set-sync-names');
  return set?.kind === 'set-sync-names' ? set.value : undefined;
}

it('the standby with the higher sync_priority is taken, also when another is ahead', () => {
  expect(namesGiven({ b: { at: 10_000 }, c: { at: 9000 } })).toBe('b');
  expect(namesGiven({ b: { at: 10_000 }, c: { at: 9000, tags: { sync_priority: 2 } } })).toBe('c');
});

it('a standby with sync_priority 0 is not taken, even where it is the only one', () => {
  expect(namesGiven({ b: { at: 10_000, tags: { sync_priority: 0 } } })).toBeUndefined();
});

it('a standby further behind the best one than maximum_lag_on_syncnode is not taken', () => {
  const standbys = { b: { at: 9000, tags: { sync_priority: 5 } }, c: { at: 10_000 } };
  expect(namesGiven(standbys, { maximumLagOnSyncnodeBytes: 999 })).toBe('c');
  expect(namesGiven(standbys, { maximumLagOnSyncnodeBytes: 1000 })).toBe('b');
});

it('the only standby is compared with the leader', () => {
  expect(namesGiven({ b: { at: 9000 } }, { maximumLagOnSyncnodeBytes: 999 })).toBeUndefined();
  expect(namesGiven({ b: { at: 9000 } }, { maximumLagOnSyncnodeBytes: 1000 })).toBe('b');
});

it.each([
  [1, 'any 1 of b, c now holds every acknowledged commit'],
  [2, 'any 2 of b, c now hold every acknowledged commit'],
])('in mode quorum it is said how many hold each commit: %i', (synchronousNodeCount, because) => {
  const at = lsn(10_000);
  const replication = ['b', 'c'].map((name) => walsender(name, { writeLsn: at, flushLsn: at, replayLsn: at }));
  const primary = pg.primary({ flushLsn: at, replication });
  const o = observation({
    view: view({
      leaderName: 'a',
      members: [member('a', { role: 'primary' }), member('b', { lsn: at }), member('c', { lsn: at })],
      sync: { leader: 'a', quorum: 1, standbys: ['b', 'c', 'd'], modRevision: '7' },
    }),
    pg: { ...primary, sql: sql({ ...primary.sql, synchronousStandbyNames: `ANY ${synchronousNodeCount} (b,c)` }) },
    settings: settings('a', { dynamic: { synchronousMode: 'quorum', synchronousNodeCount } }),
  });
  const syncNamesSet = { value: `ANY ${synchronousNodeCount} (b,c)`, atMs: 0, atLsn: lsn(9000) };
  expect(syncStep(contextOf(o, memory({ syncNamesSet }))).because).toBe(because);
});
