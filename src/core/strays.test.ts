/**
 * A replica that was opened for writes by hand has WAL of its own on its leader's timeline: numbers
 * and histories are equal.
 */
import { describe, expect, it } from 'vitest';
import { lsn, memory, observation, peer, peers, pg, type Scene, settings, view, walreceiver, walsender } from '../../test/support/build.ts';
import { contextOf } from './context.ts';
import { decide } from './decide.ts';
import type { Memory } from './model.ts';
import { possibleSuccessors } from './race/successors.ts';
import { endToCompare } from './strays.ts';

const led = view({ leaderName: 'b' });
const source = { name: 'b', systemIdentifier: '7301234567890123456', timeline: 1, lsn: lsn(2000), history: [], inRecovery: false };
/**
 * Demoted by its agent at once: its last checkpoint ended the recovery with which it was opened.
 */
const opened = pg.stopped({ state: 'in production', checkpointLsn: lsn(1000) });
const streaming = walreceiver({ latestEndLsn: lsn(900) });
const decided = (scene: Scene, before: Partial<Memory> = {}) => decide(observation({ view: led, ...scene }), memory(before));

describe('a node that wrote on the timeline of its leader', () => {
  it.each([
    ['has other records than the leader', { ...source, hasOurEnd: false }],
    ['is as far as the leader, with a record more', { ...source, lsn: lsn(1000) }],
    ['is further than the leader', { ...source, lsn: lsn(990), hasOurEnd: true }],
  ])('has diverged where it %s', (_, leader) => {
    const decision = decided({ pg: opened, source: leader });
    expect(decision).toMatchObject({ rule: 'mend.rewind-blind', steps: [], memory: { strayed: true } });
    expect(decision.because).toContain('regentctl reinit demo a');
  });

  it('has diverged also where the leader has gone on to a later timeline since, and pg_rewind would see nothing to do', () => {
    const later = { ...source, timeline: 2, lsn: lsn(3000), history: [{ timeline: 1, switchLsn: lsn(1500), reason: 'x' }] };
    const may = settings('a', { postgresql: { removeDataDirectoryOnRewindFailure: true } });
    for (const state of ['shut down', 'in production']) {
      const scene = { pg: pg.stopped({ state, checkpointLsn: lsn(1000) }), source: { ...later, hasOurEnd: false } };
      expect(decided(scene)).toMatchObject({ rule: 'mend.rewind-blind', steps: [], memory: { strayed: true } });
      expect(decided({ ...scene, settings: may }).steps).toMatchObject([{ kind: 'start-job', job: { kind: 'reinitialize' } }]);
    }
    const demoted = pg.stopped({ state: 'shut down', checkpointLsn: lsn(1000) });
    for (const told of [{ hasOurEnd: true }, {}])
      expect(decided({ pg: demoted, source: { ...later, ...told } }).rule).toBe('stopped.start-standby');
  });

  it('is not believed by numbers where a leader that has removed that WAL cannot tell, once another leader could', () => {
    const later = { ...source, timeline: 2, lsn: lsn(3000), history: [{ timeline: 1, switchLsn: lsn(1500), reason: 'x' }] };
    for (const state of ['shut down', 'in production']) {
      const marked = { ...pg.stopped({ state, checkpointLsn: lsn(1000) }), strayed: true };
      const decision = decided({ pg: marked, source: later });
      expect(decision).toMatchObject({ rule: 'mend.rewind-blind', steps: [], memory: { strayed: true } });
      expect(decision.because).toContain('regentctl reinit demo a');
      if (state === 'shut down') expect(decided({ pg: marked, source: { ...later, hasOurEnd: true } }).rule).toBe('stopped.start-standby');
    }
    // A rewind has replaced what it wrote: it must stream once before the mark goes.
    const rewound = { ...pg.stopped({ state: 'in archive recovery', minRecoveryLsn: lsn(1000) }), strayed: true };
    expect(decided({ pg: rewound, source: later }).rule).toBe('stopped.start-standby');
  });

  it('is known by where it ended even after it ran as a standby, because there was no leader to compare with', () => {
    const end = { timeline: 1, checkpointLsn: lsn(1000), open: false };
    const started = decided({ pg: opened, view: null }).memory;
    expect(started.endedAt).toEqual(end);
    // Of a standby pg_controldata says nothing of the kind; it stays known.
    expect(decided({ pg: pg.stopped({ state: 'shut down in recovery' }), source }, started).memory.endedAt).toEqual(end);
    const runs = pg.standby({ receiver: null, receiveLsn: null, replayLsn: lsn(1100) });
    const told = (hasOurEnd: boolean) => decided({ pg: runs, source: { ...source, hasOurEnd } }, started);
    expect(told(false)).toMatchObject({ rule: 'mend.rewind-blind', memory: { strayed: true, endedAt: end } });
    expect(told(true)).toMatchObject({ rule: 'standby.follow', memory: { endedAt: end } });
    const streams = pg.standby({ receiver: walreceiver({ latestEndLsn: lsn(1100) }), receiveLsn: lsn(1100), replayLsn: lsn(1100) });
    expect(decided({ pg: streams }, started).memory.endedAt).toBeNull();
    expect(decided({ pg: pg.primary() }, started).memory.endedAt).toBeNull();
  });

  it('is cloned where the settings allow it', () => {
    const may = settings('a', { postgresql: { removeDataDirectoryOnRewindFailure: true } });
    const { steps } = decided({ pg: opened, source: { ...source, hasOurEnd: false }, settings: may });
    expect(steps).toMatchObject([{ kind: 'start-job', job: { kind: 'reinitialize' } }]);
  });

  it('follows where the leader has the same records (a cold copy of it)', () => {
    expect(decided({ pg: opened, source: { ...source, hasOurEnd: true } }).rule).toBe('stopped.start-standby');
  });

  it('waits where that cannot be told, and also when a start has already written the signal file', () => {
    expect(decided({ pg: opened, source }).rule).toBe('stopped.leader-not-ready');
    expect(decided({ pg: { ...opened, standbySignal: true }, source }).rule).toBe('stopped.leader-not-ready');
    // Of a standby only its end must be known.
    const stopped = pg.stopped({ state: 'shut down in recovery', minRecoveryLsn: lsn(1000) }, { standbySignal: true });
    expect(decided({ pg: stopped, source }).rule).toBe('stopped.start-standby');
    expect(decided({ pg: stopped, source: { ...source, lsn: lsn(999) } }).rule).toBe('mend.rewind-blind');
  });

  it('is detected while it streams, by a position that its leader has not reached', () => {
    const streams = pg.standby({ receiver: streaming, receiveLsn: lsn(900), replayLsn: lsn(1000) });
    expect(decided({ pg: streams, source: { ...source, lsn: lsn(999) } })).toMatchObject({
      rule: 'mend.rewind-blind',
      steps: [{ kind: 'demote-now' }],
    });
    // After a start the walreceiver is behind the replay for a moment.
    expect(decided({ pg: streams, source: { ...source, lsn: lsn(1000) } }).rule).toBe('standby.follow');
  });

  it('stays out of the race when the leader is gone, until it was cloned or an operator names it', () => {
    const alone = { view: view(), peers: peers(peer('b', { lsn: lsn(900) }), peer('c', { lsn: lsn(900) })) };
    expect(decided({ ...alone, pg: opened }, { strayed: true })).toMatchObject({ rule: 'stopped.strayed', steps: [] });
    expect(decided({ ...alone, pg: pg.standby() }, { strayed: true })).toMatchObject({ rule: 'race.diverged', steps: [] });
    const failover = { leader: null, candidate: 'a', scheduledAtMs: null, scheduledAt: null, modRevision: '9' };
    const named = { ...alone, view: view({ failover }) };
    expect(decided({ ...named, pg: opened }, { strayed: true }).rule).toBe('stopped.start-for-race');
    expect(decided({ ...named, pg: pg.standby() }, { strayed: true }).steps).toEqual([{ kind: 'acquire-leader' }]);
    const job = { kind: 'reinitialize' as const, source: { name: 'b', host: 'b', port: 5432 }, fromLeader: true };
    const ended = [{ job, ok: true, code: null, message: null, endedAtMs: 9000 }];
    expect(decided({ ...alone, pg: pg.standby(), ended }, { strayed: true }).steps).toEqual([{ kind: 'acquire-leader' }]);
  });
});

describe('the finding of its agent', () => {
  const alone = { view: view(), peers: peers(peer('b', { lsn: lsn(900) }), peer('c', { lsn: lsn(900) })) };
  it('is marked beside the directory, and outlives the agent', () => {
    const found = decided({ pg: opened, source: { ...source, hasOurEnd: false } });
    expect(found.chores).toEqual([{ kind: 'strayed', effects: [{ kind: 'mark-strayed', strayed: true }] }]);
    const after = decided({ ...alone, pg: { ...opened, strayed: true } });
    expect(after).toMatchObject({ rule: 'stopped.strayed', chores: [], memory: { strayed: true } });
    expect(decided({ ...alone, pg: { ...pg.standby(), strayed: true } })).toMatchObject({ rule: 'race.diverged', steps: [] });
  });

  it('holds until it streams what its leader has', () => {
    const caughtUp = {
      ...pg.standby({ receiver: streaming, receiveLsn: lsn(900), replayLsn: lsn(900) }),
      strayed: true,
    };
    expect(decided({ pg: caughtUp, source }).chores).toContainEqual({
      kind: 'strayed',
      effects: [{ kind: 'mark-strayed', strayed: false }],
    });
  });

  it('is also in its control file while no member leads: it was a standby a moment ago, and has written as a primary since', () => {
    const ran = { role: 'replica', state: 'running' } as const;
    const shut = (state: string) => pg.stopped({ state, checkpointLsn: lsn(1000) });
    expect(decided({ ...alone, pg: shut('shut down') }, ran)).toMatchObject({ rule: 'stopped.strayed', memory: { strayed: true } });
    expect(decided({ ...alone, pg: shut('in production') }, ran)).toMatchObject({ rule: 'stopped.strayed' });
    expect(decided({ ...alone, pg: shut('shut down in recovery') }, ran)).toMatchObject({ memory: { strayed: false } });
    for (const role of ['primary', 'promoted', 'demoted', 'uninitialized'] as const)
      expect(decided({ ...alone, pg: shut('shut down') }, { ...ran, role }).memory.strayed).toBe(false);
    // A promotion of its own that went wrong.
    const ended = [{ job: { kind: 'promote' as const, syncNames: null }, ok: false, code: null, message: null, endedAtMs: 9000 }];
    expect(decided({ ...alone, pg: shut('in production'), ended }, ran).memory.strayed).toBe(false);
  });

  it('is marked also in the round that starts it again, as that takes the evidence away; not where its data are replaced', () => {
    const ran = { role: 'replica', state: 'running' } as const;
    const blind = decided({ pg: pg.stopped({ state: 'shut down', checkpointLsn: lsn(1000) }), view: null }, ran);
    expect(blind.steps).toMatchObject([{ kind: 'start-job', job: { kind: 'start' } }]);
    expect(blind.chores).toEqual([{ kind: 'strayed', effects: [{ kind: 'mark-strayed', strayed: true }] }]);
    const may = settings('a', { postgresql: { removeDataDirectoryOnRewindFailure: true } });
    const cloned = decided({ pg: opened, source: { ...source, hasOurEnd: false }, settings: may });
    expect(cloned).toMatchObject({ steps: [{ kind: 'start-job', job: { kind: 'reinitialize' } }], chores: [] });
  });

  it('gives back a leader key that it took on its earlier, wrong position', () => {
    const mine = { view: view({ leaderName: 'a' }), peers: alone.peers };
    const decision = decided({ ...mine, pg: pg.stopped({ state: 'shut down' }) }, { role: 'replica', state: 'running', keyTaken: true });
    expect(decision).toMatchObject({ rule: 'stopped.stray-leads', steps: [{ kind: 'release-leader' }], memory: { strayed: true } });
    const failover = { leader: null, candidate: 'a', scheduledAtMs: null, scheduledAt: null, modRevision: '9' };
    const forced = { ...mine, view: view({ leaderName: 'a', failover }) };
    // Where an operator wants that, it begins a timeline of its own: others have this one as well.
    const wanted = decided({ ...forced, pg: pg.stopped({ state: 'shut down' }) }, { role: 'replica', state: 'running', keyTaken: true });
    expect(wanted.steps).toMatchObject([{ kind: 'start-job', job: { kind: 'start', role: { kind: 'standby' } } }]);
    const promoted = decided({ ...forced, pg: { ...pg.standby(), strayed: true } }, { keyTaken: true });
    expect(promoted.steps).toMatchObject([
      { kind: 'mark-strayed', strayed: false },
      { kind: 'start-job', job: { kind: 'promote' } },
    ]);
  });

  it('keeps no other member from leading, and gets no handover', () => {
    const c = (strayed: boolean) => peers(peer('b', { lsn: lsn(900) }), peer('c', { lsn: lsn(9000), strayed }));
    const own = pg.standby({ receiveLsn: lsn(950), replayLsn: lsn(950) });
    expect(decided({ view: view(), peers: c(false), pg: own }).steps).toEqual([]);
    expect(decided({ view: view(), peers: c(true), pg: own }).steps).toEqual([{ kind: 'acquire-leader' }]);
    const seen = view({ leaderName: 'a' });
    const leader = contextOf(observation({ view: seen, pg: pg.primary(), peers: c(true) }), memory());
    expect(possibleSuccessors(leader, seen, {})).not.toContain('c');
  });
});

describe('a standby of which its agent knows nothing', () => {
  const checkpoint = { timeline: 1, checkpointLsn: lsn(800) };
  const alone = pg.standby({ receiver: null, receiveLsn: null, replayLsn: lsn(900), checkpoint });
  const end = { ...checkpoint, open: false };

  it('is compared by its latest checkpoint, until it was seen to stream', () => {
    expect(endToCompare(alone, memory())).toEqual(end);
    const streams = pg.standby({ receiver: streaming, receiveLsn: lsn(900), replayLsn: lsn(900) });
    expect(endToCompare(alone, decided({ pg: streams }).memory)).toBeNull();
    expect(endToCompare(alone, decided({ pg: alone }).memory)).toEqual(end);
    // What it knows to have been written here goes before that.
    const endedAt = { timeline: 1, checkpointLsn: lsn(700), open: false };
    expect(endToCompare(alone, memory({ endedAt }))).toEqual(endedAt);
  });

  it('is compared by it also where it is stopped, but not by that of the server it is a copy of', () => {
    const stopped = pg.stopped({ state: 'shut down in recovery', checkpointLsn: lsn(800), minRecoveryLsn: lsn(900) });
    expect(endToCompare(stopped, memory())).toEqual(end);
    expect(endToCompare({ ...stopped, baseBackup: checkpoint }, memory())).toBeNull();
  });

  it('has to be cloned where its leader has something else there', () => {
    const told = (hasOurEnd: boolean) => decided({ pg: alone, source: { ...source, hasOurEnd } });
    expect(told(false)).toMatchObject({ rule: 'mend.rewind-blind', memory: { strayed: true } });
    expect(told(true)).toMatchObject({ rule: 'standby.follow', memory: { strayed: false } });
  });
});

describe('a node that is marked', () => {
  const follows = (decision: ReturnType<typeof decided>) => decision.chores.some(({ kind }) => kind === 'follow' || kind === 'files');
  const marked = { ...pg.standby({ receiver: null, receiveLsn: null, primaryConninfo: '' }), strayed: true };

  it('gets no WAL from a leader with which it was not compared', () => {
    for (const leader of [null, { ...source, inRecovery: true }]) {
      const waits = decided({ pg: marked, source: leader, configDirty: true });
      expect(waits).toMatchObject({ rule: 'standby.leader-not-ready', steps: [] });
      expect(waits.because).toContain('until b can be compared with');
      expect(follows(waits)).toBe(false);
    }
    const compared = decided({ pg: marked, source: { ...source, hasOurEnd: true }, configDirty: true });
    expect(compared.rule).toBe('standby.follow');
    expect(follows(compared)).toBe(true);
    expect(follows(decided({ pg: { ...marked, strayed: false }, source: null }))).toBe(true);
  });

  it('is not started to follow it either', () => {
    const stopped = pg.stopped({ state: 'shut down in recovery', minRecoveryLsn: lsn(900) });
    expect(decided({ pg: { ...stopped, strayed: true }, source: null }).rule).toBe('stopped.leader-not-ready');
    expect(decided({ pg: { ...stopped, strayed: true }, source }).rule).toBe('stopped.start-standby');
    expect(decided({ pg: stopped, source: null }).rule).toBe('stopped.start-standby');
  });
});

describe('a walsender whose standby says that it has more than this leader', () => {
  const mode = settings('a', { dynamic: { synchronousMode: 'quorum' } });
  const leading = (b: Parameters<typeof walsender>[1]) => ({
    view: view({ leaderName: 'a', sync: { leader: 'a', quorum: 0, standbys: ['c'], modRevision: '8' } }),
    settings: mode,
    pg: pg.primary({ flushLsn: lsn(1000), synchronousStandbyNames: 'ANY 1 (c)', replication: [walsender('b', b), walsender('c')] }),
    peers: peers(peer('b'), peer('c')),
  });
  const stepsOf = (b: Parameters<typeof walsender>[1]) =>
    decided(leading(b), { role: 'primary', announcedRole: 'primary' })
      .chores.filter(({ kind }) => kind === 'sync')
      .flatMap(({ effects }) => effects);

  it.each(['flushLsn', 'writeLsn', 'replayLsn'])('does not come into the synchronous set by its %s', (what) => {
    expect(stepsOf({})).toMatchObject([{ kind: 'write-sync', standbys: ['b', 'c'] }]);
    expect(stepsOf({ [what]: lsn(1001) })).toEqual([]);
  });

  it('gets no handover', () => {
    const successors = (b: Parameters<typeof walsender>[1]) => {
      const o = observation({ ...leading(b), settings: settings('a') });
      return possibleSuccessors(contextOf(o, memory()), view({ leaderName: 'a' }), {});
    };
    expect(successors({})).toEqual(['b', 'c']);
    expect(successors({ replayLsn: lsn(1001) })).toEqual(['c']);
  });
});
