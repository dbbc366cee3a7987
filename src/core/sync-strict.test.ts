import { expect, it } from 'vitest';
import { memory, observation, pg, settings, sql, view } from '../../test/support/build.ts';
import { contextOf } from './context.ts';
import { syncStep } from './sync.ts';

it('in strict mode without a standby, all listed members must confirm: otherwise members without the commit would stay listed', () => {
  const o = observation({
    view: { ...view({ leaderName: 'a' }), sync: { leader: 'a', quorum: 0, standbys: ['b', 'c'], modRevision: '7' } },
    pg: { ...pg.primary(), sql: sql({ ...pg.primary().sql, synchronousStandbyNames: '2 (b,c)', replication: [] }) },
    settings: settings('a', { dynamic: { synchronousMode: 'on', synchronousModeStrict: true, synchronousNodeCount: 2 } }),
  });
  // Already so: nothing to do.
  expect(syncStep(contextOf(o, memory()))).toMatchObject({ effects: [], waiting: true });
  const wider = { ...o, pg: { ...o.pg, sql: sql({ ...o.pg.sql, synchronousStandbyNames: '1 (b,c)' }) } };
  expect(syncStep(contextOf(wider, memory())).effects).toEqual([{ kind: 'set-sync-names', value: '2 (b,c)' }]);
});

it('first removes from /sync the standbys that commits did not wait for: it is from before synchronous mode was off', () => {
  const scene = (names: string) =>
    observation({
      view: { ...view({ leaderName: 'a' }), sync: { leader: 'a', quorum: 0, standbys: ['b', 'c'], modRevision: '7' } },
      pg: { ...pg.primary(), sql: sql({ ...pg.primary().sql, synchronousStandbyNames: names, replication: [] }) },
      settings: settings('a', { dynamic: { synchronousMode: 'on', synchronousModeStrict: true, synchronousNodeCount: 2 } }),
    });
  const standbysAfter = (names: string) => syncStep(contextOf(scene(names), memory())).effects;
  expect(standbysAfter('')).toMatchObject([{ kind: 'write-sync', leader: 'a', quorum: 0, standbys: [] }]);
  expect(standbysAfter('c')).toMatchObject([{ kind: 'write-sync', leader: 'a', quorum: 0, standbys: ['c'] }]);
});

it('coming from quorum mode, /sync first names the leader alone, because not every listed standby has everything', () => {
  const o = observation({
    view: { ...view({ leaderName: 'a' }), sync: { leader: 'a', quorum: 1, standbys: ['b', 'c'], modRevision: '7' } },
    pg: { ...pg.primary(), sql: sql({ ...pg.primary().sql, synchronousStandbyNames: 'ANY 1 (b,c)', replication: [] }) },
    settings: settings('a', { dynamic: { synchronousMode: 'on' } }),
  });
  expect(syncStep(contextOf(o, memory())).effects).toMatchObject([{ kind: 'write-sync', leader: 'a', quorum: 0, standbys: [] }]);
});
