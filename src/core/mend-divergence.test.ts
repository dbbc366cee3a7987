/** Rewinds that fail, that change nothing, and data directories that are base backups. */
import { describe, expect, it } from 'vitest';
import { lsn, memory, observation, peer, peers, pg, type Scene, settings, view, walreceiver } from '../../test/support/build.ts';
import { decide } from './decide.ts';
import { divergenceFrom } from './divergence.ts';
import { backoffMs } from './hold-off.ts';
import type { Failure, Memory } from './model.ts';

const source = {
  name: 'b',
  systemIdentifier: '7301234567890123456',
  timeline: 2,
  lsn: lsn(2000),
  history: [{ timeline: 1, switchLsn: lsn(1100), reason: 'x' }],
  inRecovery: false,
};
const leader = view({ leaderName: 'b' });
const crashed = pg.stopped({ state: 'in production', checkpointLsn: lsn(1000) });
const mayRemove = settings('a', { postgresql: { removeDataDirectoryOnRewindFailure: true, removeDataDirectoryOnDivergedTimelines: true } });
const rewind = { kind: 'rewind' as const, source: { name: 'b', host: 'b', port: 5432 } };

const asked = (scene: Scene, remembered: Partial<Memory> = {}) => {
  const { rule, effects, because, memory: after, wakeAtMs } = decide(observation({ view: leader, source, ...scene }), memory(remembered));
  return { rule, because, after, wakeAtMs, kinds: effects.map((effect) => (effect.kind === 'start-job' ? effect.job.kind : effect.kind)) };
};
const failed = (code: string | null, count: number, over: Partial<Failure> = {}): Partial<Memory> => ({
  failures: { rewind: { count, lastAtMs: 9_900, message: 'why', code, source: 'b', ...over } },
});
const streaming = walreceiver({ receivedTimeline: 2 });
const later = { nowMs: 10_000 + backoffMs(99) };

it('neither rewinds from a server of another cluster nor copies it, and does not hold against it what that one said', () => {
  const other = { ...source, systemIdentifier: '7' };
  for (const scene of [{ pg: crashed }, { pg: crashed, settings: mayRemove }]) {
    const told = asked({ ...scene, source: other }, failed('REWIND_BLIND', 1));
    expect(told).toMatchObject({ rule: 'mend.other-cluster', kinds: [] });
    expect(told.because).toMatch(/b is of another cluster \(system identifier 7, here \d+\): .*; correct its address/);
  }
  expect(asked({ pg: crashed }, asked({ pg: crashed, source: other }).after).kinds).toEqual(['rewind']);
});

describe('a rewind that failed', () => {
  it.each(['REWIND_NO_ROOM', 'SOURCE_UNREACHABLE', 'SOURCE_NOT_READY', 'REWIND_SOURCE_LOST', 'REWIND_NO_RIGHT'])(
    'because of %s is repeated for as long as it takes, less and less often, and no copy is made',
    (code) => {
      const waiting = asked({ pg: crashed, settings: mayRemove }, failed(code, 50));
      expect(waiting).toMatchObject({ rule: 'mend.rewind-later', kinds: [], wakeAtMs: 9_900 + 30_000 });
      expect(waiting.because).toBe('pg_rewind failed (why); trying again soon');
      expect(asked({ pg: crashed, settings: mayRemove, ...later }, failed(code, 50)).kinds).toEqual(['rewind']);
    },
  );
  it.each(['REWIND_WAL_GONE', 'REWIND_BLIND', 'REWIND_NOTHING_IN_COMMON'])('because of %s is not repeated', (code) => {
    const given = asked({ pg: crashed, ...later }, failed(code, 1));
    expect(given).toMatchObject({ rule: 'mend.rewind-refused', kinds: [] });
    expect(given.because).toMatch(/pg_rewind cannot mend that \(why\); run: regentctl reinit/);
    expect(asked({ pg: crashed, settings: mayRemove, ...later }, failed(code, 1)).kinds).toEqual(['reinitialize']);
  });
  it('for an unknown cause is repeated as well; after three tries a copy may be made, or is advised', () => {
    expect(asked({ pg: crashed, ...later }, failed('REWIND_FAILED', 9)).kinds).toEqual(['rewind']);
    expect(asked({ pg: crashed }, failed('REWIND_FAILED', 9)).because).toMatch(
      /trying again soon; if the cause does not pass, run: regentctl reinit/,
    );
    expect(asked({ pg: crashed }, failed('REWIND_FAILED', 2)).because).toBe('pg_rewind failed (why); trying again soon');
    expect(asked({ pg: crashed, settings: mayRemove, ...later }, failed('REWIND_FAILED', 2)).kinds).toEqual(['rewind']);
    expect(asked({ pg: crashed, settings: mayRemove, ...later }, failed('REWIND_FAILED', 3)).kinds).toEqual(['reinitialize']);
  });
  it('from another leader says nothing about this one', () => {
    expect(asked({ pg: crashed }, failed('REWIND_BLIND', 7, { source: 'c' })).kinds).toEqual(['rewind']);
  });
});

describe('a rewind that ended well', () => {
  const ended = (ok: boolean, scene: Scene = {}, remembered: Partial<Memory> = {}) =>
    asked({ ended: [{ job: rewind, ok, code: ok ? null : 'REWIND_FAILED', message: 'x', endedAtMs: 9_900 }], ...scene }, remembered);

  it('counts as failed while this node finds itself diverged again', () => {
    const again = ended(true, { pg: crashed });
    expect(again).toMatchObject({ rule: 'mend.rewind-later', kinds: [], wakeAtMs: 9_900 + 1000 });
    expect(again.because).toMatch(/it ended well, and this node could not stream after it/);
    expect(ended(true, { pg: crashed }, failed('REWIND_IN_VAIN', 4)).wakeAtMs).toBe(9_900 + 16_000);
    expect(ended(true, { pg: crashed, settings: mayRemove }, failed('REWIND_IN_VAIN', 2)).kinds).toEqual(['reinitialize']);
  });
  it('has helped once it streams', () => {
    expect(ended(true, { pg: pg.standby({ timeline: 2, receiver: streaming }) }).after.failures.rewind).toBeUndefined();
    expect(ended(true, { pg: pg.standby({ timeline: 2, receiver: null }) }).after.failures.rewind).toMatchObject({
      count: 1,
      code: 'REWIND_IN_VAIN',
    });
  });
});

it('a replica that was promoted by hand is on its own timeline before its first checkpoint tells so', () => {
  const promoted = pg.stopped(
    { state: 'in production', timeline: 1, checkpointLsn: lsn(900), minRecoveryLsn: lsn(1050), minRecoveryTimeline: 2 },
    { localHistory: [{ timeline: 1, switchLsn: lsn(1040), reason: 'x' }] },
  );
  const first = { ...source, timeline: 1, history: [] };
  expect(divergenceFrom(promoted, first)).toBe('diverged');
  expect(asked({ pg: promoted, source: first }, { openedByHand: true })).toMatchObject({ rule: 'mend.rewind', kinds: ['rewind'] });
});

describe('a restored base backup', () => {
  const backup = (checkpoint: number, over: Scene['pg'] = crashed) => ({
    ...over,
    baseBackup: { timeline: 1, checkpointLsn: lsn(checkpoint) },
  });
  const roleOf = (scene: Scene) => {
    const [effect] = decide(observation({ view: leader, source, ...scene }), memory()).effects;
    return effect?.kind === 'start-job' && effect.job.kind === 'start' ? effect.job.role : null;
  };

  it.each([
    ['with the control file of a running primary', crashed],
    ['with a signal file', { ...crashed, standbySignal: true }],
    ['with the control file of a standby', pg.stopped({ state: 'in archive recovery', minRecoveryLsn: lsn(1000) })],
  ] as const)('%s is started as a standby of the leader, not rewound', (_name, facts) => {
    const scene = { pg: backup(900, facts) };
    expect(asked(scene)).toMatchObject({ rule: 'stopped.base-backup', kinds: ['start'] });
    expect(roleOf(scene)).toMatchObject({ kind: 'standby', source: { name: 'b' } });
  });
  it('of another history first recovers to its end, and is sent nothing', () => {
    expect(roleOf({ pg: backup(1200) })).toEqual({ kind: 'standby', source: null });
  });
  it('waits for no member when no member leads', () => {
    expect(roleOf({ view: view(), pg: backup(900), source: null })).toEqual({ kind: 'standby', source: null });
  });
  it('does not lead by a key that this node held before', () => {
    const mine = view({ leaderName: 'a' });
    expect(asked({ view: mine, pg: backup(900), peers: peers(peer('b')) })).toMatchObject({
      rule: 'stopped.backup-leads',
      kinds: ['release-leader'],
    });
  });
  it('that does not recover to its end names the source for its WAL, and tells the operator what it lacks', () => {
    const starting = asked({ pg: backup(900, pg.starting({ standbySignal: true })), source: null });
    expect(starting).toMatchObject({ rule: 'starting.standby', kinds: ['apply-config'] });
    expect(starting.because).toMatch(/needs the WAL up to the backup’s end, from b or an archive/);
  });
});

describe('data that PostgreSQL cannot recover', () => {
  const lost: Partial<Memory> = {
    failures: { start: { count: 4, lastAtMs: 9_900, message: 'no checkpoint record', code: 'PG_START_UNRECOVERABLE' } },
  };
  const standby = pg.stopped({ state: 'in archive recovery', minRecoveryLsn: lsn(1000) }, { standbySignal: true });

  it('are cloned again if the settings allow that; otherwise the log says what to do', () => {
    expect(asked({ pg: standby, settings: mayRemove }, lost)).toMatchObject({ rule: 'stopped.unrecoverable', kinds: ['reinitialize'] });
    expect(asked({ pg: standby }, lost).because).toMatch(
      /no checkpoint record\); trying again soon; if that WAL is nowhere, run: regentctl reinit/,
    );
    const full: Partial<Memory> = { failures: { start: { count: 4, lastAtMs: 9_900, message: 'disk full', code: 'PG_START_NO_ROOM' } } };
    expect(asked({ pg: standby, settings: mayRemove }, full)).toMatchObject({ rule: 'stopped.start-failed', kinds: [] });
  });
});

describe('a crashed primary that may not be rewound', () => {
  const never = { ...mayRemove, postgresql: { ...mayRemove.postgresql, usePgRewind: false } };
  const scene = { pg: crashed, settings: settings('a', { postgresql: { usePgRewind: false } }) };
  const compared = (code: string | null, over: Partial<Failure> = {}): Partial<Memory> => ({
    failures: { compare: { count: 1, lastAtMs: 9_900, message: 'why', code, source: 'b', ...over } },
  });

  it('looks first whether it has any WAL of its own, before data are removed as well', () => {
    expect(asked(scene)).toMatchObject({ rule: 'mend.compare', kinds: ['compare'] });
    expect(asked({ ...scene, settings: never })).toMatchObject({ rule: 'mend.compare', kinds: ['compare'] });
    const hintless = pg.stopped({ state: 'in production', checkpointLsn: lsn(1000), walLogHints: false, dataChecksums: false });
    expect(asked({ pg: hintless }).kinds).toEqual(['compare']);
    for (const state of ['in crash recovery', 'shutting down'])
      expect(asked({ ...scene, pg: pg.stopped({ state, checkpointLsn: lsn(1000) }) }).kinds).toEqual(['compare']);
  });

  it.each(['SOURCE_UNREACHABLE', 'COMPARE_UNKNOWN'])('looks again after %s, after a while and as often as it takes', (code) => {
    expect(asked(scene, compared(code))).toMatchObject({ rule: 'mend.compare-later', kinds: [], wakeAtMs: 9_900 + 1000 });
    expect(asked({ ...scene, ...later, settings: never }, compared(code, { count: 50 })).kinds).toEqual(['compare']);
  });

  it('without pg_waldump is cloned after three tries where that is allowed, and otherwise goes on looking for it', () => {
    const lacks = (count: number) => compared('COMPARE_NO_PROGRAM', { count });
    expect(asked({ ...scene, ...later, settings: never }, lacks(2)).kinds).toEqual(['compare']);
    expect(asked({ ...scene, ...later, settings: never }, lacks(3)).kinds).toEqual(['reinitialize']);
    expect(asked({ ...scene, ...later }, lacks(9)).kinds).toEqual(['compare']);
  });

  it('is compared again after it has streamed or led: the verdict was about older WAL', () => {
    const verdict = (facts: NonNullable<Scene['pg']>, over: Scene = {}) =>
      asked({ pg: facts, ...over }, compared('COMPARE_DIVERGED')).after.failures.compare;
    expect(verdict(crashed)).toMatchObject({ code: 'COMPARE_DIVERGED' });
    expect(verdict(pg.standby({ timeline: 2, receiver: null }))).toMatchObject({ code: 'COMPARE_DIVERGED' });
    expect(verdict(pg.standby({ timeline: 2, receiver: streaming }))).toBeUndefined();
    expect(verdict(pg.primary(), { view: view({ leaderName: 'a' }), source: null })).toBeUndefined();
  });

  it.each(['COMPARE_DIVERGED', 'REWIND_BLIND'])('stays down once that says %s, or is cloned where that is allowed', (code) => {
    expect(asked({ ...scene, ...later }, compared(code))).toMatchObject({ rule: 'mend.rewind-impossible', kinds: [] });
    expect(asked({ ...scene, settings: never }, compared(code)).kinds).toEqual(['reinitialize']);
    expect(asked(scene, compared(code, { source: 'c' })).kinds).toEqual(['compare']);
    expect(asked({ pg: crashed }, compared(code)).kinds).toEqual(['rewind']);
  });

  it('is not compared where pg_controldata tells all: it was shut down, or runs as a standby', () => {
    expect(asked({ ...scene, pg: pg.stopped({ checkpointLsn: lsn(1200) }) }).rule).toBe('mend.rewind-impossible');
    const runs = pg.standby({ receiveLsn: lsn(1200), replayLsn: lsn(1200), timeline: 1 });
    expect(asked({ ...scene, pg: runs }).rule).toBe('mend.rewind-impossible');
  });
});
