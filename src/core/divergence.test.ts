import { describe, expect, it } from 'vitest';
import { control, lsn, pg } from '../../test/support/build.ts';
import {
  aimsElsewhere,
  compareHistories,
  divergenceFrom,
  leftAt,
  rewindIsBlind,
  sharesPlace,
  stoppedPosition,
  timelineStart,
} from './divergence.ts';
import type { SourceHistory } from './postgres-facts.ts';

const entry = (timeline: number, at: number) => ({ timeline, switchLsn: lsn(at), reason: 'x' });
const source = (timeline: number, history: ReturnType<typeof entry>[], over = {}) => ({
  name: 'b',
  systemIdentifier: '7301234567890123456',
  timeline,
  lsn: lsn(9000),
  history,
  inRecovery: false,
  ...over,
});
const at = (timeline: number, position: number, over = {}) => ({
  timeline,
  lsn: lsn(position),
  atRecordStart: false,
  open: false,
  ...over,
});

const behind = pg.standby({ timeline: 1, receiveLsn: lsn(100), replayLsn: lsn(100) });

describe('compareHistories', () => {
  it.each([
    ['same timeline, same history', at(2, 500), [entry(1, 100)], source(2, [entry(1, 100)]), 'prefix'],
    ['same number, other history (M13)', at(2, 500), [entry(1, 100)], source(2, [entry(1, 200)]), 'diverged'],
    ['older timeline, before the switch', at(1, 100), [], source(2, [entry(1, 100)]), 'prefix'],
    ['older timeline, past the switch', at(1, 101), [], source(2, [entry(1, 100)]), 'diverged'],
    ['two timelines behind', at(1, 100), [], source(3, [entry(1, 100), entry(2, 300)]), 'prefix'],
    ['on a timeline the source never had', at(2, 150), [entry(1, 120)], source(3, [entry(1, 100), entry(2, 300)]), 'diverged'],
    ['ahead of the source', at(3, 150), [entry(1, 100), entry(2, 120)], source(2, [entry(1, 100)]), 'diverged'],
    ['shutdown checkpoint before the switch', at(1, 99, { atRecordStart: true }), [], source(2, [entry(1, 100)]), 'prefix'],
    [
      'older timeline, and the source has the last record',
      at(1, 99, { written: true }),
      [],
      source(2, [entry(1, 100)], { hasOurEnd: true }),
      'prefix',
    ],
    [
      'older timeline, with a record of its own',
      at(1, 99, { written: true }),
      [],
      source(2, [entry(1, 100)], { hasOurEnd: false }),
      'diverged',
    ],
    ['a record that starts at the switch', at(1, 100, { atRecordStart: true }), [], source(2, [entry(1, 100)]), 'diverged'],
    ['crashed: nobody knows where its WAL ends', at(1, 50, { open: true }), [], source(2, [entry(1, 100)]), 'diverged'],
    ['crashed, nothing happened since', at(2, 50, { open: true }), [entry(1, 10)], source(2, [entry(1, 10)]), 'prefix'],
  ] as const)('%s', (_name, local, history, from, expected) => {
    expect(compareHistories(local, history, from)).toBe(expected);
  });
});

/** What a promotion on timeline 1 writes that had heard of 2, and had no WAL of it. */
const heard = [entry(1, 300), entry(2, 100)];

it('takes the earliest end for that of a timeline, where a history does not grow', () => {
  expect([1, 2, 3].map((timeline) => leftAt(heard, timeline))).toEqual([lsn(100), lsn(100), null]);
  expect(compareHistories(at(1, 100), [], source(3, heard))).toBe('prefix');
  expect(compareHistories(at(1, 200), [], source(3, heard))).toBe('diverged');
  expect(sharesPlace(source(3, heard), 1, lsn(200))).toBe(false);
  // pg_rewind goes by the first entry.
  expect(rewindIsBlind(pg.standby({ timeline: 1, receiveLsn: lsn(200), replayLsn: lsn(200) }), source(3, heard))).toBe(true);
});

const after1 = (switchAt: number, over = {}) => source(3, [entry(1, switchAt)], over);

it.each([
  ['a twin of the leader’s', 2, source(2, [entry(1, 100)]), true],
  ['one that the leader’s history lacks', 2, after1(100), true],
  ['one that the leader came from, by its number', 2, source(3, heard), false],
  ['one later than the leader’s', 4, after1(100), false],
  ['one that a leader in recovery may come to', 2, after1(100, { inRecovery: true }), false],
] as const)('PostgreSQL aims at %s', (_what, timeline, from, elsewhere) => {
  expect(aimsElsewhere({ ...behind, aimsAt: { timeline, history: [entry(1, 300)] } }, from)).toBe(elsewhere);
});

it('takes the leader’s own history for no other', () => {
  expect(aimsElsewhere({ ...behind, aimsAt: { timeline: 3, history: [entry(1, 100)] } }, after1(100))).toBe(false);
});

it('takes a timeline later than the leader’s for another’s once PostgreSQL has failed for a while', () => {
  const facts = { ...behind, aimsAt: { timeline: 4, history: [entry(1, 300)] }, sourceTrouble: 'not streaming from b: PostgreSQL says: …' };
  expect(aimsElsewhere(facts, after1(100))).toBe(true);
});

it('expects a source to have the WAL of its own timeline, and of former ones up to where it left them', () => {
  const from = source(3, [entry(1, 100), entry(2, 300)]);
  expect([sharesPlace(from, 3, lsn(9999)), sharesPlace(from, 2, lsn(299)), sharesPlace(from, 1, lsn(99))]).toEqual([true, true, true]);
  expect([sharesPlace(from, 2, lsn(300)), sharesPlace(from, 1, lsn(200)), sharesPlace(from, 4, lsn(1))]).toEqual([false, false, false]);
});

describe('stoppedPosition', () => {
  it('takes the recovery end of a standby', () => {
    expect(stoppedPosition(control({ state: 'shut down in recovery', minRecoveryLsn: lsn(700), minRecoveryTimeline: 4 }))).toEqual(
      at(4, 700),
    );
  });
  it('takes the checkpoint of a primary, and says when more may follow', () => {
    expect(stoppedPosition(control({ state: 'in production', checkpointLsn: lsn(5) }))).toEqual(
      at(1, 5, { atRecordStart: true, open: true, written: true }),
    );
  });
});

describe('divergenceFrom', () => {
  it('cannot tell without the source, or while the source itself recovers', () => {
    expect(divergenceFrom(pg.stopped(), null)).toBe('unknown');
    expect(divergenceFrom(pg.stopped(), source(1, [], { inRecovery: true }))).toBe('unknown');
  });
  it('follows a source that recovers where that has its last records, and proves nothing else by it', () => {
    const recovers = (over: Partial<SourceHistory>) =>
      divergenceFrom(pg.stopped({ checkpointLsn: lsn(900) }), source(1, [], { inRecovery: true, lsn: lsn(2000), ...over }));
    expect(recovers({ hasOurEnd: true })).toBe('prefix');
    expect(recovers({ hasOurEnd: false })).toBe('unknown');
    expect(recovers({ hasOurEnd: true, lsn: lsn(800) })).toBe('unknown');
    expect(recovers({ hasOurEnd: true, systemIdentifier: '1' })).toBe('unknown');
  });
  it('reads another system as diverged', () => {
    expect(divergenceFrom(pg.stopped(), source(1, [], { systemIdentifier: '1' }))).toBe('diverged');
  });
  it('counts what a standby received, not only what it replayed', () => {
    expect(divergenceFrom(pg.standby({ receiveLsn: lsn(120), replayLsn: lsn(90) }), source(2, [entry(1, 100)]))).toBe('diverged');
  });
});

describe('timelines of one number, begun at one point (M13)', () => {
  const ours = {
    ...pg.standby({ timeline: 2, receiveLsn: lsn(500), replayLsn: lsn(500) }),
    localHistory: [entry(1, 100)],
    timelineFingerprint: 'aa',
  };
  const same = { timelineFingerprint: 'aa' };
  const other = { timelineFingerprint: 'bb' };
  const there = [entry(1, 100)];
  const left = [entry(1, 100), entry(2, 900)];

  it.each([
    ['its source is on it', source(2, there, other), 'diverged', true],
    ['its source has left it since, past our position', source(3, left, other), 'diverged', true],
    ['its source has the same', source(3, left, same), 'prefix', false],
    ['its source does not know any more', source(3, left), 'prefix', false],
  ] as const)('%s', (_name, from, verdict, blind) => {
    expect(divergenceFrom(ours, from)).toBe(verdict);
    expect(rewindIsBlind(ours, from)).toBe(blind);
  });
  it('are not compared while our own fingerprint is not known', () => {
    const { timelineFingerprint: _unknown, ...without } = ours;
    expect(divergenceFrom(without, source(3, left, other))).toBe('prefix');
  });
  it('asks for the timeline it is on, from where its history says', () => {
    expect(timelineStart(ours)).toEqual({ timeline: 2, from: lsn(100) });
    expect(timelineStart(pg.standby())).toBeNull();
  });
});
