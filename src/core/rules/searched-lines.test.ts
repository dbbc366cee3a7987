/**
 * Lines of Patroni's that people and tools search the log for, each in the situation that it names.
 * They stand at the beginning of a sentence, or as a part of it; what Regent knows more follows.
 */
import { describe, expect, it } from 'vitest';
import { lsn, member, memory, noLease, observation, peer, peers, pg, type Scene, settings, view } from '../../../test/support/build.ts';
import { awaitedRestart, awaitedSwitchover } from '../awaiting.ts';
import { contextOf } from '../context.ts';
import { decide } from '../decide.ts';
import type { Job, RunningJob } from '../effects.ts';
import type { Memory } from '../model.ts';

type Case = readonly [literal: string, rule: string, scene: Scene, memory?: Partial<Memory>];

const led = view({ leaderName: 'a' });
const followed = view({ leaderName: 'b' });
const paused = settings('a', { dynamic: { pause: true } });
const tagged = (tags: Readonly<Record<string, number | boolean>>) => settings('a', { local: { tags } });
const others = peers(peer('b'), peer('c'));
const running = (job: Job): RunningJob => ({ job, startedAtMs: 9_000 });
const promoting = running({ kind: 'promote', syncNames: '' });
const restarting = running({ kind: 'restart', role: { kind: 'primary', syncNames: '' }, why: 'restart', timeoutMs: null });
const failover = (leader: string | null, candidate: string | null, scheduledAt: string | null = null) => ({
  leader,
  candidate,
  scheduledAt,
  scheduledAtMs: scheduledAt === null ? null : Date.parse(scheduledAt),
  modRevision: '7',
});
const FUTURE = '2100-01-01T00:00:00+00:00';
const failedStart = { failures: { start: { count: 1, lastAtMs: 0, message: 'no', code: null } } } as unknown as Partial<Memory>;

const CASES: readonly Case[] = [
  ['no action. I am (a), the leader with the lock', 'primary.leader', { view: led, pg: pg.primary() }],
  ['no action. I am (a), a secondary, and following a leader (b)', 'standby.follow', { view: followed }],
  ['PAUSE: no action. I am (a)', 'paused.standby-unlocked', { settings: paused }],
  ['continue to run as primary without lock', 'paused.primary', { view: followed, settings: paused, pg: pg.primary() }],
  [
    'continue to run as primary after failing to update leader lock in DCS',
    'paused.primary',
    { view: led, settings: paused, pg: pg.primary(), nowMs: 60_000 },
  ],
  ['promoted self to leader by acquiring session lock', 'standby.promote', { view: led }],
  [
    'promoted self to leader because I had the session lock',
    'standby.promote',
    { view: led, peers: others },
    { keyTaken: false, keyInheritedSinceMs: null },
  ],
  ['acquired session lock as a leader', 'primary.acquire', { pg: pg.primary() }],
  [
    'following a different leader because I am not allowed to promote',
    'race.nofailover',
    { settings: tagged({ nofailover: true }), peers: others },
  ],
  [
    'following a different leader because i am not the healthiest node: Wal position of b is ahead of my wal position [1000]',
    'race.peer-ahead',
    { peers: peers(peer('b', { lsn: lsn(2000) }), peer('c')) },
  ],
  [
    'b has equally tolerable WAL position and priority 3, while this node has priority 2',
    'race.peer-priority',
    { settings: tagged({ failover_priority: 2 }), peers: peers(peer('b', { tags: { failover_priority: 3 } }), peer('c')) },
  ],
  ['Primary (b) is still alive', 'race.peer-primary', { peers: peers(peer('b', { inRecovery: false }), peer('c')) }],
  [
    'demoting self because I am not allowed to become primary',
    'primary.not-allowed',
    { settings: tagged({ nofailover: true }), pg: pg.primary() },
  ],
  [
    'demoting self because i am not the healthiest node',
    'primary.outdated',
    { pg: pg.primary({ timeline: 3 }), view: view({ history: [{ timeline: 4, switchLsn: lsn(1), reason: 'x' }] }) },
  ],
  ['demoting self because I do not have the lock and I was a leader', 'fence.other-leader', { view: followed, pg: pg.primary() }],
  [
    'demoted self because DCS is not accessible and I was a leader',
    'fence.lease-ended',
    { view: null, pg: pg.primary(), nowMs: 40_000, key: { leaseId: 'lease-a', stepDownAtMs: 11_000 } },
  ],
  ['demoted self because failed to update leader lock in DCS', 'fence.lease-ended', { view: led, pg: pg.primary(), nowMs: 40_000 }],
  ['not promoting because failed to update leader lock in DCS', 'standby.wait', { view: led, nowMs: 40_000 }],
  ['DCS is not accessible', 'fence.wait-for-etcd', { view: null }],
  ['stopped PostgreSQL while starting up because leader key was lost', 'fence.opening-unlocked', { pg: pg.starting() }],
  ['lost leader before promote', 'fence.job-without-lock', { view: followed, job: promoting }],
  ['lost leader lock during promote', 'fence.job-without-lock', { view: followed, job: promoting, pg: pg.primary() }],
  ['updated leader lock during restart', 'job.running', { view: led, pg: pg.primary(), job: restarting }],
  [
    'restart in progress',
    'job.running',
    { view: followed, job: running({ kind: 'restart', role: { kind: 'standby', source: null }, why: 'restart', timeoutMs: null }) },
  ],
  ['PostgreSQL is still starting up, 300 seconds until timeout', 'starting.leader', { view: led, pg: pg.starting() }],
  [
    'primary start has timed out, but continuing to wait because failover is not possible',
    'starting.leader',
    { view: led, pg: pg.starting(), nowMs: 400_000, lease: { leaseId: 'lease-a', confirmedSentAtMs: 399_000, ttlSeconds: 30 } },
    { notRunningSinceMs: 1 },
  ],
  [
    'stopped PostgreSQL because of startup timeout',
    'starting.timeout',
    {
      view: led,
      pg: pg.starting(),
      peers: others,
      nowMs: 400_000,
      lease: { leaseId: 'lease-a', confirmedSentAtMs: 399_000, ttlSeconds: 30 },
    },
    { notRunningSinceMs: 1 },
  ],
  [
    'Error communicating with PostgreSQL. Will try again later',
    'starting.standby',
    { view: followed, pg: { ...pg.starting(), state: 'unresponsive', standbySignal: true } },
  ],
  [
    'Error communicating with PostgreSQL. Will try again later',
    'starting.leader',
    { view: led, pg: { ...pg.starting(), state: 'unresponsive' } },
  ],
  ['Error communicating with PostgreSQL. Will try again later', 'starting.refused', { view: followed, pg: { ...pg.standby(), sql: null } }],
  ['starting primary after failure', 'stopped.restart-primary', { view: led, pg: pg.stopped({ state: 'in production' }) }],
  ['starting as a secondary', 'stopped.start-standby', { view: followed, pg: pg.stopped({ state: 'shut down in recovery' }) }],
  [
    'starting as readonly because i had the session lock',
    'stopped.start-own-leader',
    { view: led, pg: pg.stopped({ state: 'shut down in recovery' }, { standbySignal: true }) },
  ],
  [
    'stopped PostgreSQL to fail over after a crash',
    'stopped.give-up',
    {
      view: led,
      pg: pg.stopped({ state: 'in production' }),
      peers: others,
      settings: settings('a', { dynamic: { primaryStartTimeoutSeconds: 0 } }),
    },
  ],
  [
    'removed leader key after trying and failing to start postgres',
    'stopped.give-up',
    { view: led, pg: pg.stopped({ state: 'in production' }), peers: others },
    failedStart,
  ],
  [
    'failed to start postgres',
    'stopped.start-failed',
    { view: followed, pg: pg.stopped() },
    { failures: { start: { count: 1, lastAtMs: 9_900, message: 'no' } } },
  ],
  ['removed leader lock because postgres is not running', 'paused.stopped-leader', { view: led, settings: paused, pg: pg.stopped() }],
  ['postgres is not running', 'paused.stopped', { settings: paused, pg: pg.stopped() }],
  ['removed leader lock because postgres is not running as primary', 'paused.standby-leader', { view: led, settings: paused }],
  ['released leader key voluntarily as data dir empty and currently leader', 'data.released', { view: led, pg: pg.none }],
  [
    'released leader key voluntarily as data dir not accessible and currently leader',
    'data.inaccessible',
    { view: led, pg: { ...pg.none, dataDir: 'inaccessible' } },
  ],
  ['data directory is not accessible: ', 'data.inaccessible', { pg: { ...pg.none, dataDir: 'inaccessible' } }],
  ['running with empty data directory', 'data.paused', { settings: paused, pg: pg.none }],
  [
    'data dir for the cluster is not empty, but system ID is invalid; consider doing reinitialize',
    'data.foreign',
    { pg: { ...pg.none, dataDir: 'foreign' } },
  ],
  [
    'system ID mismatch, node a belongs to a different cluster: 1 != 7301234567890123456',
    'data.other-cluster',
    { view: view({ initialize: '1' }) },
  ],
  [
    'released leader key voluntarily due to the system ID mismatch',
    'data.other-cluster-paused',
    { view: view({ initialize: '1', leaderName: 'a' }), settings: paused },
  ],
  ['trying to bootstrap a new cluster', 'data.bootstrap', { view: view({ initialize: null, members: [member('a')] }), pg: pg.none }],
  ["trying to bootstrap from leader 'b'", 'data.clone', { view: followed, pg: pg.none }],
  ['waiting for leader to bootstrap', 'data.wait', { pg: pg.none }],
  [
    'Demoting self because watchdog could not be activated',
    'primary.watchdog',
    { view: led, pg: pg.primary(), watchdog: { required: true, healthy: false, active: false } },
  ],
  [
    'Not promoting self because watchdog could not be activated',
    'standby.watchdog',
    { view: led, watchdog: { required: true, healthy: false, active: false } },
  ],
  [
    'Promotion cancelled because the pre-promote script failed',
    'standby.promotion-failed',
    { view: led },
    { failures: { promote: { count: 1, lastAtMs: 9_990, message: 'x' } } },
  ],
  [
    'switchover: demoting myself',
    'switchover.hand-over',
    { view: { ...led, failover: failover('a', null) }, pg: pg.primary(), peers: others },
  ],
  [
    'manual failover: demoting myself',
    'switchover.hand-over',
    { view: { ...led, failover: failover(null, 'b') }, pg: pg.primary(), peers: others },
  ],
  [
    'no action. I am (a), the leader with the lock',
    'switchover.scheduled',
    { view: { ...led, failover: failover('a', null, FUTURE) }, pg: pg.primary(), peers: others },
  ],
  [
    'Quorum requirement 2 can not be reached',
    'switchover.no-successor',
    {
      view: { ...led, failover: failover('a', null), sync: { leader: 'a', quorum: 1, standbys: ['b', 'c'], modRevision: '8' } },
      pg: pg.primary({ synchronousStandbyNames: 'ANY 1 (b,c)' }),
      peers: peers(peer('b')),
      settings: settings('a', { dynamic: { synchronousMode: 'quorum' } }),
    },
    { syncNamesSet: { value: 'ANY 1 (b,c)', atMs: 0, atLsn: lsn(1) } },
  ],
];

describe('the log says', () => {
  it.each(CASES.map((one) => ({ literal: one[0], rule: one[1], scene: one[2], over: one[3] })))(
    '$literal ($rule)',
    ({ literal, rule, scene, over }) => {
      const decision = decide(observation(scene), memory(over));
      expect([decision.rule, decision.because]).toEqual([rule, expect.stringContaining(literal)]);
    },
  );

  it('what an operator has scheduled', () => {
    const scene = (scheduledAt: string, more: Scene = {}): Scene => ({
      view: { ...led, failover: failover('a', null, scheduledAt) },
      pg: pg.primary(),
      ...more,
    });
    const c = (of: Scene) => contextOf(observation(of), memory());
    const soon = new Date(observation().wallMs + 90_000).toISOString();
    expect(awaitedSwitchover(c(scene(soon)))).toBe(`Awaiting switchover at ${soon} (in 90 seconds)`);
    expect(awaitedSwitchover(c(scene(soon, { settings: paused })))).toBeNull();
    expect(awaitedSwitchover(c(scene('2020-01-01T00:00:00Z')))).toBeNull();
    expect(awaitedSwitchover(c({ lease: noLease }))).toBeNull();
    expect(awaitedRestart('2026-01-01T00:00:00+00:00', 61_000)).toBe('Awaiting restart at 2026-01-01T00:00:00+00:00 (in 61 seconds)');
  });
});
