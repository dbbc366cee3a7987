import { describe, expect, it } from 'vitest';
import {
  control,
  lsn,
  member,
  memory,
  observation,
  peer,
  peers,
  pg,
  type Scene,
  settings,
  view,
  walreceiver,
} from '../../test/support/build.ts';
import { decide } from './decide.ts';
import type { Memory } from './model.ts';

const source = (over = {}) => ({
  name: 'b',
  systemIdentifier: '7301234567890123456',
  timeline: 2,
  lsn: lsn(2000),
  inRecovery: false,
  history: [{ timeline: 1, switchLsn: lsn(1100), reason: 'x' }],
  ...over,
});
const leaderB = view({ leaderName: 'b' });
const twin = pg.stopped(
  { state: 'in production', timeline: 2, checkpointLsn: lsn(1500) },
  { localHistory: [{ timeline: 1, switchLsn: lsn(1050), reason: 'x' }] },
);
const mine = view({ leaderName: 'a' });
const restart = { shutdown: false, restart: { timeoutMs: null }, reinitialize: null };
const paused = settings('a', { dynamic: { pause: true } });
const held = (leaseId: string, stepDownAtMs: number): Scene => ({ key: { leaseId, stepDownAtMs } });
const failures = (kind: string, count: number): Partial<Memory> => ({ failures: { [kind]: { count, lastAtMs: 9_900, message: 'why' } } });

/** situation, facts, expected rule, expected effects (kinds, or job kinds) */
type Row = readonly [name: string, scene: Scene, rule: string, effects: readonly string[], remembered?: Partial<Memory>];
const table: readonly Row[] = [
  ['etcd silent, lease good', { view: null, pg: pg.primary(), ...held('lease-a', 11_000) }, 'fence.wait-for-etcd', []],
  ['etcd silent, lease over', { view: null, pg: pg.primary(), nowMs: 33_001 }, 'fence.lease-ended', ['cancel-job', 'demote-now']],
  ['etcd silent, standby', { view: null, nowMs: 99_000 }, 'fence.wait-for-etcd', []],
  [
    'etcd silent, starting as a primary, lease over',
    { view: null, pg: pg.starting(), nowMs: 40_000 },
    'fence.lease-ended',
    ['cancel-job', 'demote-now'],
  ],
  [
    'etcd silent, starting as a standby',
    { view: null, pg: pg.starting({ standbySignal: true }), nowMs: 40_000 },
    'fence.wait-for-etcd',
    [],
  ],
  [
    'etcd silent and paused',
    { view: null, pg: pg.primary(), nowMs: 40_000, settings: settings('a', { dynamic: { pause: true } }) },
    'fence.wait-for-etcd',
    [],
  ],
  ['another leads, we are primary', { view: leaderB, pg: pg.primary() }, 'fence.other-leader', ['cancel-job', 'demote-now']],
  ['our key, older lease', { view: view({ leaderName: 'a', leaderLease: 'old' }), pg: pg.primary() }, 'fence.attach', ['attach-leader']],
  ['crash recovery without the key', { view: view(), pg: pg.starting() }, 'fence.opening-unlocked', ['cancel-job', 'demote-now']],
  [
    'promotion without the key',
    { view: leaderB, pg: pg.standby(), job: { job: { kind: 'promote', syncNames: null }, startedAtMs: 1 } },
    'fence.job-without-lock',
    ['cancel-job', 'demote-now'],
  ],
  [
    'no data, nobody initialized',
    { view: view({ initialize: null, members: [] }), pg: pg.none },
    'data.bootstrap',
    ['race-initialize', 'bootstrap'],
  ],
  ['no data, another initializes', { view: view({ initialize: '', members: [] }), pg: pg.none }, 'data.wait', []],
  ['no data, a primary leads', { view: leaderB, pg: pg.none }, 'data.clone', ['clone']],
  ['no data, leader not promoted yet', { view: { ...leaderB, members: [member('b')] }, pg: pg.none }, 'data.wait', []],
  ['no data but leader', { view: mine, pg: pg.none }, 'data.released', ['release-leader']],
  ['data of another cluster', { view: { ...leaderB, initialize: '9999999999999' }, pg: pg.standby() }, 'data.other-cluster', ['exit']],
  [
    'existing primary, empty etcd',
    { view: view({ initialize: null }), pg: pg.primary() },
    'data.adopt',
    ['write-initialize', 'run-callback'],
  ],
  ['existing standby, empty etcd', { view: view({ initialize: null }), pg: pg.standby() }, 'data.standby-uninitialized', ['run-callback']],
  ['interrupted clone', { view: leaderB, pg: { ...pg.none, dataDir: 'incomplete', incompleteWork: 'clone' } }, 'data.clone', ['clone']],
  [
    'interrupted rewind',
    { view: leaderB, pg: { ...pg.stopped(), dataDir: 'incomplete', incompleteWork: 'rewind' } },
    'mend.rewind',
    ['rewind'],
  ],
  [
    'interrupted rewind, nobody leads',
    { view: view(), pg: { ...pg.stopped(), dataDir: 'incomplete', incompleteWork: 'rewind' } },
    'stopped.rewind-again',
    [],
  ],
  ['crashed leader', { view: mine, pg: pg.stopped({ state: 'in production' }) }, 'stopped.restart-primary', ['start']],
  [
    'crashed leader, primary_start_timeout 0',
    {
      view: mine,
      pg: pg.stopped({ state: 'in production' }),
      peers: peers(peer('b')),
      settings: settings('a', { dynamic: { primaryStartTimeoutSeconds: 0 } }),
    },
    'stopped.give-up',
    ['release-leader'],
  ],
  [
    'crashed leader, start failed',
    { view: mine, pg: pg.stopped({ state: 'in production' }), peers: peers(peer('b')) },
    'stopped.give-up',
    ['release-leader'],
    failures('start', 1),
  ],
  [
    'crashed leader, start failed, nobody else',
    { view: mine, pg: pg.stopped({ state: 'in production' }), peers: peers() },
    'stopped.start-failed',
    [],
    failures('start', 1),
  ],
  ['old primary, leader not asked yet', { view: leaderB, pg: pg.stopped() }, 'stopped.leader-not-ready', []],
  ['old primary, in order, prefix', { view: leaderB, pg: pg.stopped(), source: source() }, 'stopped.start-standby', ['start']],
  ['old primary, crashed', { view: leaderB, pg: pg.stopped({ state: 'in production' }), source: source() }, 'mend.rewind', ['rewind']],
  [
    'old primary, wrote past the switch',
    { view: leaderB, pg: pg.stopped({ checkpointLsn: lsn(1100) }), source: source() },
    'mend.rewind',
    ['rewind'],
  ],
  [
    'a timeline of the leader’s number, begun elsewhere (M13): pg_rewind would do nothing, again and again',
    { view: leaderB, pg: twin, source: source() },
    'mend.rewind-blind',
    ['mark-strayed'],
  ],
  [
    'the same, may remove',
    {
      view: leaderB,
      pg: twin,
      source: source(),
      settings: settings('a', { postgresql: { removeDataDirectoryOnRewindFailure: true } }),
    },
    'mend.copy',
    ['reinitialize'],
  ],
  [
    'rewind failed three times, may remove',
    {
      view: leaderB,
      pg: pg.stopped({ state: 'in production' }),
      source: source(),
      settings: settings('a', { postgresql: { removeDataDirectoryOnRewindFailure: true } }),
    },
    'mend.copy',
    ['reinitialize'],
    failures('rewind', 3),
  ],
  [
    'rewind failed three times, may not remove',
    { view: leaderB, pg: pg.stopped({ state: 'in production' }), source: source() },
    'mend.rewind-later',
    [],
    failures('rewind', 3),
  ],
  [
    'stopped standby',
    { view: leaderB, pg: pg.stopped({ state: 'shut down in recovery', minRecoveryLsn: lsn(1000) }, { standbySignal: true }) },
    'stopped.start-standby',
    ['start'],
  ],
  ['stopped, nobody leads', { view: view(), pg: pg.stopped({ state: 'in production' }) }, 'stopped.start-for-race', ['start']],
  ['primary leads', { view: mine, pg: pg.primary() }, 'primary.leader', ['run-callback', 'write-status']],
  ['primary, key gone', { view: view(), pg: pg.primary() }, 'primary.acquire', ['acquire-leader']],
  [
    'primary, key gone, cluster moved on',
    { view: view({ history: [{ timeline: 1, switchLsn: lsn(900), reason: 'x' }] }), pg: pg.primary() },
    'primary.outdated',
    ['demote-now'],
  ],
  [
    'primary, key gone, another primary',
    { view: view(), pg: pg.primary(), peers: peers(peer('b', { inRecovery: false })) },
    'primary.outdated',
    ['demote-now'],
  ],
  ['primary, guard lost', { view: mine, pg: pg.primary(), guardHealthy: false }, 'primary.guard', ['demote-now', 'release-leader']],
  ['standby leads', { view: mine, pg: pg.standby() }, 'standby.promote', ['promote']],
  [
    'standby leads, promotion failed',
    { view: mine, pg: pg.standby() },
    'standby.promotion-failed',
    ['release-leader'],
    failures('promote', 1),
  ],
  [
    'standby leads, replay paused',
    { view: mine, pg: pg.standby({ replayPaused: true }) },
    'standby.replay-paused',
    ['resume-replay', 'run-callback'],
  ],
  ['standby follows', { view: leaderB, pg: pg.standby({ primaryConninfo: 'host=b port=5432' }) }, 'standby.follow', ['run-callback']],
  [
    'standby follows the wrong one',
    { view: leaderB, pg: pg.standby({ primaryConninfo: 'host=c port=5432' }) },
    'standby.follow',
    ['apply-config', 'run-callback'],
  ],
  ['standby past the switch', { view: leaderB, pg: pg.standby({ receiveLsn: lsn(1200) }), source: source() }, 'mend.rewind', ['rewind']],
  ['free key, healthiest', { view: view(), peers: peers(peer('b'), peer('c')) }, 'race.healthiest', ['acquire-leader']],
  ['free key, somebody is ahead', { view: view(), peers: peers(peer('b', { lsn: lsn(1001) })) }, 'race.peer-ahead', ['run-callback']],
  [
    'paused, down after a switchover the operator asked for',
    { view: leaderB, settings: settings('a', { dynamic: { pause: true } }), pg: pg.stopped(), source: source() },
    'stopped.start-standby',
    ['start'],
    { handedOver: true },
  ],
  [
    'paused, down of itself',
    { view: leaderB, settings: settings('a', { dynamic: { pause: true } }), pg: pg.stopped(), source: source() },
    'paused.stopped',
    [],
  ],
  [
    'free key, paused',
    { view: view(), settings: settings('a', { dynamic: { pause: true } }), peers: peers() },
    'paused.standby-unlocked',
    ['run-callback'],
  ],
  [
    'paused primary leads',
    { view: mine, pg: pg.primary(), settings: settings('a', { dynamic: { pause: true } }) },
    'paused.primary',
    ['run-callback', 'write-status'],
  ],
  [
    'ending, primary up',
    { view: mine, pg: pg.primary(), requests: { shutdown: true, restart: null, reinitialize: null } },
    'shutdown.stop',
    ['handover'],
  ],
  [
    'ending, and the leader key is gone: nothing is handed over, and its guard strikes soon',
    { view: view(), pg: pg.primary(), requests: { shutdown: true, restart: null, reinitialize: null } },
    'shutdown.without-key',
    ['demote-now'],
  ],
  [
    'ending, down, key ours',
    { view: mine, pg: pg.stopped(), requests: { shutdown: true, restart: null, reinitialize: null } },
    'shutdown.release',
    ['release-leader'],
  ],
  [
    'ending, down',
    { view: view(), pg: pg.stopped(), requests: { shutdown: true, restart: null, reinitialize: null } },
    'shutdown.exit',
    ['exit'],
  ],
  [
    'ending without etcd',
    { view: null, pg: pg.standby(), requests: { shutdown: true, restart: null, reinitialize: null } },
    'shutdown.stop',
    ['handover'],
  ],
  [
    'restart requested',
    { view: mine, pg: pg.primary(), requests: { shutdown: false, restart: { timeoutMs: null }, reinitialize: null } },
    'request.restart',
    ['restart'],
  ],
  [
    'restart requested, crashed leader',
    { view: mine, pg: pg.stopped(), requests: restart },
    'request.start',
    ['start'],
    failures('start', 1),
  ],
  [
    'restart requested, old standby',
    { view: leaderB, pg: pg.stopped({}, { standbySignal: true }), requests: restart },
    'request.start',
    ['start'],
  ],
  [
    'restart requested, old primary, leader not asked yet',
    { view: leaderB, pg: pg.stopped(), requests: restart },
    'stopped.leader-not-ready',
    [],
  ],
  [
    'restart requested, old primary, prefix',
    { view: leaderB, pg: pg.stopped(), source: source(), requests: restart },
    'request.start',
    ['start'],
  ],
  [
    'restart requested, diverged',
    { view: leaderB, pg: pg.stopped({ state: 'in production' }), source: source(), requests: restart },
    'mend.rewind',
    ['rewind'],
  ],
  ['restart requested, nobody leads', { view: view(), pg: pg.stopped(), requests: restart }, 'request.start', ['start']],
  [
    'paused, restart requested, nobody leads',
    { view: view(), pg: pg.stopped(), peers: peers(peer('b')), requests: restart, settings: paused },
    'request.start',
    ['acquire-leader'],
  ],
  [
    'paused, restart requested, the key taken',
    { view: mine, pg: pg.stopped(), peers: peers(peer('b')), requests: restart, settings: paused },
    'request.start',
    ['start'],
  ],
  [
    'paused, restart requested, another primary is alive',
    { view: view(), pg: pg.stopped(), peers: peers(peer('b', { inRecovery: false })), requests: restart, settings: paused },
    'request.start',
    ['start'],
  ],
  [
    'paused, restart requested, etcd away',
    { view: null, pg: pg.stopped(), requests: restart, settings: paused },
    'fence.wait-for-etcd',
    [],
  ],
  [
    'reinit requested',
    { view: leaderB, pg: pg.standby(), requests: { shutdown: false, restart: null, reinitialize: { fromLeader: false } } },
    'request.reinitialize',
    ['reinitialize'],
  ],
  [
    'reinit requested of the leader',
    { view: mine, pg: pg.primary(), requests: { shutdown: false, restart: null, reinitialize: { fromLeader: false } } },
    'primary.leader',
    ['run-callback', 'write-status'],
  ],
];

describe('decide', () => {
  it.each(table.map((row) => ({ name: row[0], row })))('$name', ({ row }) => {
    const [, scene, rule, expected, remembered] = row;
    const decision = decide(observation(scene), memory(remembered));
    expect(decision.rule).toBe(rule);
    expect(decision.effects.map((effect) => (effect.kind === 'start-job' ? effect.job.kind : effect.kind))).toEqual(expected);
  });

  it('looks again soon while it still receives the timeline before the last switch', () => {
    const switched = { timeline: 1, switchLsn: lsn(900), reason: '', newLeader: 'b' };
    const follows = (timeline: number) => {
      const standby = pg.standby({ primaryConninfo: 'host=b port=5432', receiver: walreceiver(), timeline });
      return decide(observation({ view: { ...leaderB, history: [switched] }, pg: standby }), memory());
    };
    expect(follows(1)).toMatchObject({ rule: 'standby.follow', wakeAtMs: 10_500 });
    expect(follows(2)).toMatchObject({ rule: 'standby.follow', wakeAtMs: null });
  });

  it('puts /sync on the new leader before the promotion', () => {
    const sync = { leader: 'b', quorum: 1, standbys: ['a', 'c'], modRevision: '8' };
    const o = observation({
      view: { ...mine, sync },
      pg: pg.standby(),
      settings: settings('a', { dynamic: { synchronousMode: 'quorum' } }),
    });
    expect(decide(o, memory()).effects).toEqual([
      { kind: 'write-sync', leader: 'a', quorum: 1, standbys: ['b', 'c'], expected: sync, term: expect.anything() },
      { kind: 'start-job', job: { kind: 'promote', syncNames: 'ANY 1 (b,c)' } },
    ]);
  });

  it('names the scope in which etcd has nothing', () => {
    const nothingThere = observation({ view: view({ initialize: null }), pg: pg.standby() });
    expect(decide(nothingThere, memory()).because).toMatch(
      /cluster demo is not initialized in etcd.*If scope or namespace is misspelt or was renamed, correct it/,
    );
  });

  it('begins every sentence of a pause with PAUSE, as filters of logs expect', () => {
    const following = decide(observation({ view: leaderB, settings: paused }), memory());
    expect(following.because).toBe('PAUSE: no action. I am (a), a secondary, and following a leader (b)');
    const leading = decide(observation({ view: mine, pg: pg.primary(), settings: paused }), memory());
    expect(leading.because).toBe('PAUSE: no action. I am (a), the leader with the lock');
  });

  it('counts a start of a crashed primary that was a standby before as a standby’s', () => {
    const o = observation({ view: mine, pg: pg.stopped({ ...control({ state: 'in archive recovery' }) }, { standbySignal: true }) });
    expect(decide(o, memory()).rule).toBe('stopped.start-own-leader');
  });
});
