import { expect, it } from 'vitest';
import { lsn, member, memory, observation, pg, settings, sql, view } from '../../test/support/build.ts';
import { decide } from './decide.ts';

const members = [member('a', { role: 'primary' }), member('b')];
const leads = view({ leaderName: 'a', members });
const localHistory = [{ timeline: 1, switchLsn: lsn(500), reason: 'no recovery target specified' }];

it('a leader writes /history before /status: a position there is of a timeline that /history knows', () => {
  const primary = { ...pg.primary(), localHistory, sql: sql({ ...pg.primary().sql, timeline: 2 }) };
  const { chores } = decide(observation({ view: leads, pg: primary }), memory());
  const status = chores.find(({ kind }) => kind === 'status');
  expect(status?.effects.map(({ kind }) => kind)).toEqual(['write-history', 'write-status']);
});

it('a leader asks for a checkpoint after its promotion, and for none later: pg_rewind needs it there', () => {
  const asks = (checkpointPending: boolean, around = leads) =>
    decide(observation({ view: around, pg: pg.primary() }), memory({ checkpointPending })).chores.some(({ kind }) => kind === 'checkpoint');
  expect([asks(true), asks(false), asks(true, view({ leaderName: 'b', members }))]).toEqual([true, false, false]);
});

it('after a promotion in mode on the standbys in /sync keep their places until they have had time to connect', () => {
  const sync = { leader: 'a', quorum: 0, standbys: ['b'], modRevision: '7' };
  const primary = { ...pg.primary(), sql: sql({ ...pg.primary().sql, synchronousStandbyNames: 'b', replication: [] }) };
  const after = (ms: number) =>
    decide(
      observation({
        view: { ...leads, sync },
        pg: primary,
        nowMs: 100_000,
        lease: { leaseId: 'lease-a', confirmedSentAtMs: 99_900, ttlSeconds: 30 },
        settings: settings('a', { dynamic: { synchronousMode: 'on' } }),
      }),
      memory({ promotedAtMs: 100_000 - ms }),
    ).effects.filter(({ kind }) => kind === 'write-sync');
  expect(after(1000)).toEqual([]);
  expect(after(60_000)).toMatchObject([{ leader: 'a', standbys: [] }]);
});

it('a leader writes no more lines to /history than max_timelines_history', () => {
  const lines = [1, 2, 3].map((timeline) => ({ timeline, switchLsn: lsn(500 * timeline), reason: 'no recovery target specified' }));
  const primary = { ...pg.primary(), localHistory: lines, sql: sql({ ...pg.primary().sql, timeline: 4 }) };
  const timelines = (maxTimelinesHistory: number) => {
    const o = observation({ view: leads, pg: primary, settings: settings('a', { dynamic: { maxTimelinesHistory } }) });
    const written = decide(o, memory())
      .chores.flatMap(({ effects }) => effects)
      .find(({ kind }) => kind === 'write-history');
    return written?.kind === 'write-history' ? written.value.map((line) => (Array.isArray(line) ? line[0] : line)) : [];
  };
  expect([timelines(0), timelines(2)]).toEqual([
    [1, 2, 3],
    [2, 3],
  ]);
});
