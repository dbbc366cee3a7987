/** Random rounds of member `a`, of few values that often meet: any round, a race, a switchover. */
import fc from 'fast-check';
import type { Job } from '../../src/core/effects.ts';
import type { Memory, Observation } from '../../src/core/model.ts';
import { lsn, member, memory, observation, peer, peers, pg, settings, view, walsender } from './build.ts';
import { namesInForce } from './random-names.ts';
import { anyFilesFor, inRole } from './role-settings.ts';

const position = fc.constantFrom(lsn(900), lsn(1000), lsn(1200));
const name = fc.constantFrom('a', 'b', 'c');
const failover = fc.record({
  leader: fc.option(name),
  candidate: fc.option(name),
  scheduledAtMs: fc.option(fc.constantFrom(1_800_000_060_000, 1_799_000_000_000)),
  scheduledAt: fc.constant('2027-01-15T08:01:00+00:00'),
  modRevision: fc.constant('9'),
});
const sync = fc.record({ leader: fc.option(name), quorum: fc.nat(2), standbys: fc.subarray(['b', 'c']), modRevision: fc.constant('8') });

const cluster = fc
  .record({
    leader: fc.option(name, { freq: 3 }),
    oldLease: fc.boolean(),
    initialize: fc.constantFrom('7301234567890123456', '7301234567890123456', null, '', '1111111111111'),
    history: fc.constantFrom([], [{ timeline: 1, switchLsn: lsn(950), reason: 'x' }]),
    failover: fc.option(failover),
    sync: fc.option(sync),
    promoted: fc.boolean(),
    config: fc.boolean(),
  })
  .map((d) => ({
    ...view({ ...(d.leader === null ? {} : { leaderName: d.leader }), ...(d.oldLease ? { leaderLease: 'old' } : {}) }),
    initialize: d.initialize,
    history: d.history,
    failover: d.failover,
    sync: d.sync,
    members: ['a', 'b', 'c'].map((n) => member(n, n === d.leader && d.promoted ? { role: 'primary' } : {})),
    ...(d.config ? {} : { config: null }),
  }));

const running = fc.record({
  receiveLsn: position,
  replayLsn: position,
  timeline: fc.constantFrom(1, 2),
  replayPaused: fc.boolean(),
  primaryConninfo: fc.constantFrom('', 'host=b port=5432'),
});
const postgres = fc.oneof(
  fc.constant(pg.none),
  fc
    .constantFrom('bootstrap' as const, 'publication' as const, 'clone' as const, 'rewind' as const)
    .map((incompleteWork) => ({ ...pg.stopped(), dataDir: 'incomplete' as const, incompleteWork })),
  fc.constantFrom(pg.primary(), { ...pg.stopped(), systemIdentifier: null }).map((facts) => ({
    ...facts,
    dataDir: 'incomplete' as const,
    incompleteWork: 'publication' as const,
  })),
  fc.constantFrom('inaccessible' as const, 'foreign' as const).map((dataDir) => ({ ...pg.none, dataDir })),
  fc
    .record({
      hangs: fc.constantFrom(false, false, false, true),
      flushLsn: position,
      names: namesInForce('', 'b', 'ANY 1 (b,c)'),
      senders: fc.subarray(['b', 'c']),
    })
    .map((d) => ({
      ...pg.primary({ flushLsn: d.flushLsn, ...d.names, replication: d.senders.map((n) => walsender(n)) }),
      ...(d.hangs && { diskWaitsMs: 60_000 }),
    })),
  running.map((d) => pg.standby({ ...d, ...(d.replayPaused && { pausedByLimits: true as const }) })),
  running.map((d) => ({
    ...pg.standby(d),
    promotionTrouble: 'the disk of pg_wal is full',
    ...(d.replayPaused && { walGone: true as const }),
  })),
  fc
    .record({
      state: fc.constantFrom('in production', 'shut down', 'shut down in recovery', 'in archive recovery'),
      lsn: position,
      signal: fc.boolean(),
      timeline: fc.constantFrom(1, 1, 2),
      backup: fc.constantFrom(false, false, false, true),
    })
    .map((d) =>
      pg.stopped(
        { state: d.state, timeline: d.timeline, checkpointLsn: d.lsn, minRecoveryLsn: d.state.endsWith('recovery') ? d.lsn : null },
        { standbySignal: d.signal, ...(d.backup ? { baseBackup: { timeline: 1, checkpointLsn: d.lsn } } : {}) },
      ),
    ),
  fc.constant(pg.stopped({ state: 'in production' })),
  fc.record({ standbySignal: fc.boolean() }).map((d) => pg.starting(d)),
  fc.record({ standbySignal: fc.boolean() }).map((d) => ({ ...pg.starting(d), state: 'unresponsive' as const })),
  fc.record({ standbySignal: fc.boolean() }).map((d) => ({ ...pg.starting(d), state: 'running' as const })),
  fc
    .record({ standbySignal: fc.boolean() })
    .map((d) => ({ ...pg.starting(d), state: 'running' as const, lockedOut: 'password authentication failed' })),
  fc.constant(pg.starting({ closed: true })),
  fc.constantFrom(pg.primary(), pg.starting(), { ...pg.starting(), state: 'running' as const }).map((facts) => ({
    ...facts,
    unmanaged: true as const,
  })),
  fc.record({ standbySignal: fc.boolean() }).map((d) => pg.unexplained(d)),
);

const job: fc.Arbitrary<Job> = fc.constantFrom<Job>(
  { kind: 'bootstrap' },
  { kind: 'promote', syncNames: null },
  { kind: 'start', role: { kind: 'primary' }, why: 'x' },
  { kind: 'start', role: { kind: 'standby', source: null }, why: 'x' },
  { kind: 'handover', action: 'switchover', candidate: null },
  { kind: 'copy-slots', source: { name: 'b', host: 'b', port: 5432 }, slots: ['app'], role: { kind: 'standby', source: null } },
);

const dynamicSettings = fc.record({
  pause: fc.boolean(),
  synchronousMode: fc.constantFrom('off' as const, 'on' as const, 'quorum' as const),
  synchronousModeStrict: fc.boolean(),
  primaryStartTimeoutSeconds: fc.constantFrom(0, 300),
  checkTimeline: fc.boolean(),
  useSlots: fc.boolean(),
});

export const anyRound: fc.Arbitrary<Observation> = fc
  .record({
    view: fc.option(cluster, { freq: 8 }),
    pg: postgres,
    dynamic: dynamicSettings,
    pausedRarely: fc.nat(3),
    mayRemove: fc.boolean(),
    noLeader: fc.boolean(),
    tags: fc.constantFrom({}, {}, {}, { nofailover: true }, { replicatefrom: 'c' }),
    nowMs: fc.constantFrom(10_000, 10_000, 10_000, 60_000),
    lease: fc.boolean(),
    peers: fc.option(
      fc.array(
        fc.record({
          name: fc.constantFrom('b', 'c'),
          lsn: position,
          primary: fc.boolean(),
          timeline: fc.constantFrom(1, 2),
          down: fc.nat(7).map((n) => n === 0),
        }),
        { maxLength: 2 },
      ),
    ),
    source: fc.option(
      fc.record({ timeline: fc.constantFrom(1, 2), inRecovery: fc.boolean(), hasOurEnd: fc.constantFrom(true, true, false) }),
    ),
    job: fc.option(job, { freq: 2 }),
    requests: fc.record({
      shutdown: fc.nat(9).map((n) => n === 0),
      restart: fc.option(fc.constant({ timeoutMs: null }), { freq: 2 }),
      reinitialize: fc.option(fc.constant({ fromLeader: false })),
    }),
    watchdog: fc.record({ required: fc.boolean(), healthy: fc.boolean(), active: fc.boolean() }),
    key: fc.constantFrom(null, { leaseId: 'lease-a', stepDownAtMs: 33_000 }, { leaseId: 'x', stepDownAtMs: 12_000 }),
    guardHealthy: fc.constantFrom(true, true, true, false),
    syncUnsettled: fc.boolean(),
    configDirty: fc.boolean(),
    filesFor: anyFilesFor,
  })
  .map(
    (d): Observation =>
      observation({
        ...(d.key && { key: d.key }),
        view: d.view,
        pg: { ...d.pg, ...inRole(d.filesFor).pg },
        nowMs: d.nowMs,
        settings: settings('a', {
          dynamic: { ...d.dynamic, pause: d.dynamic.pause && d.pausedRarely === 0 },
          local: { tags: d.tags },
          postgresql: { removeDataDirectoryOnRewindFailure: d.mayRemove, ...(d.noLeader && WITHOUT_LEADER) },
          ...inRole(d.filesFor).settings,
        }),
        lease: { leaseId: d.lease ? 'lease-a' : null, confirmedSentAtMs: d.lease ? 9000 : null, ttlSeconds: 30 },
        peers:
          d.peers &&
          peers(...d.peers.map((p) => peer(p.name, { lsn: p.lsn, inRecovery: !p.primary, timeline: p.timeline, ...(p.down && DOWN) }))),
        source: d.source && {
          name: 'b',
          systemIdentifier: '7301234567890123456',
          lsn: lsn(2000),
          history: d.source.timeline === 1 ? [] : [{ timeline: 1, switchLsn: lsn(950), reason: 'x' }],
          ...d.source,
        },
        job: d.job && { job: d.job, startedAtMs: 1 },
        requests: d.requests,
        watchdog: d.watchdog,
        guardHealthy: d.guardHealthy,
        syncUnsettled: d.syncUnsettled,
        configDirty: d.configDirty,
      }),
  );

const WITHOUT_LEADER = { createReplicaMethods: ['restore'], methodOptions: { restore: { no_leader: true } } };
const DOWN = { state: 'stopped', lsn: null, onDisk: { timeline: 2, lsn: lsn(1200) } };

export const anyMemory: fc.Arbitrary<Memory> = fc
  .record({
    notRunningSinceMs: fc.option(fc.constant(-400_000)),
    abstainUntilMs: fc.option(fc.constant(11_000)),
    failed: fc.option(fc.constantFrom('start', 'start', 'promote', 'rewind', 'clone', 'bootstrap'), { freq: 2 }),
    code: fc.constantFrom('REWIND_BLIND', 'PG_START_UNRECOVERABLE'),
    promotedAtMs: fc.option(fc.constant(9_500)),
    checkpointPending: fc.boolean(),
    handedOver: fc.boolean(),
    handedOverAtMs: fc.option(fc.constant(9_500)),
    unlockedSinceMs: fc.constantFrom(null, null, null, 1000),
    keyTaken: fc.constantFrom(true, true, true, false),
    openedByHand: fc.constantFrom(false, false, false, true),
    strayed: fc.constantFrom(false, false, false, true),
    leaderlessSinceMs: fc.constantFrom(null, null, -400_000),
    streamed: fc.boolean(),
  })
  .map(({ failed, code, ...rest }) =>
    memory({ ...rest, failures: failed ? { [failed]: { count: 1, lastAtMs: 9_900, message: 'why', code } } : {} }),
  );

export const fingerprint = fc.constantFrom(undefined, undefined, 'aa', 'bb');

export const SYSTEM_ID = '7301234567890123456';

/** Facts that a member publishes about itself; rare ones are drawn rarely. */
const rarely = <T>(value: T) => fc.constantFrom<(T | undefined)[]>(undefined, undefined, undefined, undefined, undefined, value);

const answer = (name: string) =>
  fc
    .record({
      lsn: fc.option(position, { freq: 9 }),
      timeline: fc.constantFrom(1, 1, 2, 2, 3, null),
      state: fc.constantFrom('running', 'running', 'running', 'streaming', 'stopped', 'start failed'),
      inRecovery: fc.nat(9).map((n) => n > 0),
      tags: fc.constantFrom({}, {}, {}, { nofailover: true }, { failover_priority: 0 }, { failover_priority: 2 }),
      watchdogFailed: fc.nat(9).map((n) => n === 0),
      promotionTrouble: rarely('the disk of pg_wal is full'),
      keepsOut: rarely(true),
      restored: rarely(true),
      strayed: rarely(true),
      receiving: rarely(true),
      attached: rarely(true),
      replaying: rarely(true),
      lockedOut: rarely('password authentication failed'),
      systemIdentifier: fc.constantFrom(undefined, SYSTEM_ID, SYSTEM_ID, SYSTEM_ID, SYSTEM_ID, '1111111111111'),
      timelineFingerprint: fingerprint,
      onDisk: rarely({ timeline: 2, lsn: lsn(1200) }),
    })
    .map((facts) => peer(name, Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined))));

const raceView = fc
  .record({
    history: fc.constantFrom(
      [],
      [],
      [{ timeline: 1, switchLsn: lsn(950), reason: 'x' }],
      [{ timeline: 1, switchLsn: lsn(1100), reason: 'x' }],
    ),
    failover: fc.option(failover, { freq: 2 }),
    noRequest: fc.boolean(),
    sync: fc.option(
      fc.record({
        leader: fc.option(name, { freq: 5 }),
        quorum: fc.nat(2),
        standbys: fc.subarray(['a', 'b', 'c', 'd']),
        modRevision: fc.constant('8'),
      }),
      {
        freq: 3,
      },
    ),
    optime: fc.constantFrom(null, lsn(1000), lsn(5_000_000)),
    writesOn: fc.option(fc.record({ leader: name, timeline: fc.constantFrom(1, 2), timelineFingerprint: fc.constantFrom('aa', 'bb') })),
    without: fc.constantFrom('', '', '', 'c'),
  })
  .map((d) => ({
    history: d.history,
    failover: d.noRequest ? null : d.failover,
    sync: d.sync && { ...d.sync, standbys: d.sync.standbys.filter((standby) => standby !== d.sync?.leader) },
    status: { optime: d.optime, slots: {}, retainSlots: [], ...(d.writesOn && { writesOn: d.writesOn }) },
    members: ['a', 'b', 'c', 'd'].filter((one) => one !== d.without).map((one) => member(one)),
  }));

const raceSettings = fc
  .record({
    synchronousMode: fc.constantFrom('off' as const, 'on' as const, 'quorum' as const),
    checkTimeline: fc.boolean(),
    pause: fc.nat(9).map((n) => n === 0),
    primaryRaceBackoffSeconds: fc.constantFrom(0, 0, 0, 20),
    tags: fc.constantFrom({}, {}, {}, {}, { nofailover: true }, { failover_priority: 2 }),
  })
  .map(({ tags, ...dynamic }) => settings('a', { dynamic, local: { tags } }));

const answers = fc.option(
  fc
    .tuple(fc.option(answer('b'), { freq: 4 }), fc.option(answer('c'), { freq: 4 }), fc.option(answer('d'), { freq: 2 }))
    .map((all) => peers(...all.filter((one) => one !== null))),
  { freq: 15 },
);

const watchdog = fc.constantFrom(
  { required: false, healthy: true, active: false },
  { required: false, healthy: true, active: false },
  { required: true, healthy: false, active: false },
);

/** A standby while nobody holds the leader key. */
export const raceRound: fc.Arbitrary<Observation> = fc
  .record({
    view: raceView,
    settings: raceSettings,
    peers: answers,
    watchdog,
    nowMs: fc.constantFrom(10_000, 60_000),
    receiveLsn: fc.option(position, { freq: 15 }),
    timeline: fc.constantFrom(1, 2, 2),
    primaryConninfo: fc.constantFrom('', '', 'host=b port=5432'),
    replaying: fc.constantFrom(false, false, true),
    replayPaused: fc.constantFrom(false, false, true),
    timelineFingerprint: fingerprint,
    restored: rarely(true as const),
    promotionTrouble: rarely('the disk of pg_wal is full'),
    localHistory: fc.constantFrom([], [{ timeline: 1, switchLsn: lsn(950), reason: 'x' }]),
  })
  .map(
    ({
      view: seen,
      receiveLsn,
      timeline,
      primaryConninfo,
      replaying,
      replayPaused,
      timelineFingerprint,
      restored,
      promotionTrouble,
      localHistory,
      ...rest
    }) => {
      const running = pg.standby({
        receiveLsn,
        replayLsn: receiveLsn,
        timeline,
        primaryConninfo,
        replayPaused,
        ...(replaying && { replaying }),
      });
      return observation({
        ...rest,
        view: view(seen),
        pg: {
          ...running,
          localHistory,
          ...(timelineFingerprint && { timelineFingerprint }),
          ...(restored && { restored }),
          ...(promotionTrouble && { promotionTrouble }),
        },
      });
    },
  );

/** A primary that leads, under an operator's request. */
export const switchoverRound: fc.Arbitrary<Observation> = fc
  .record({
    view: raceView,
    request: failover,
    settings: raceSettings,
    peers: answers,
    names: namesInForce('', 'b', 'ANY 1 (b,c)', '*'),
    senders: fc.subarray(['b', 'c', 'd']),
    ahead: fc.constantFrom(0, 0, 0, 500),
    lockedOut: rarely('password authentication failed'),
  })
  .map(({ view: seen, request, names, senders, ahead, lockedOut, ...rest }) => {
    const replication = senders.map((one) => walsender(one, { flushLsn: lsn(1000 + ahead) }));
    return observation({
      ...rest,
      view: { ...view({ ...seen, leaderName: 'a' }), failover: request },
      pg: { ...pg.primary({ ...names, replication }), ...(lockedOut && { lockedOut }) },
    });
  });

/** What member `a` remembers in a race, or as the leader. */
export const raceMemory: fc.Arbitrary<Memory> = fc
  .record({
    abstainUntilMs: fc.constantFrom(null, null, null, null, 11_000),
    promoteFailures: fc.constantFrom(0, 0, 0, 0, 2, 3),
    handoverFailed: fc.nat(5).map((n) => n === 0),
    strayed: fc.constantFrom(false, false, false, false, true),
    lastLeader: fc.constantFrom(null, 'a', 'b', 'c'),
    leaderlessSinceMs: fc.constantFrom(null, 5_000, 9_500, -400_000),
    syncNamesSet: fc.constantFrom(null, null, { value: 'ANY 1 (b,c)', atMs: 9_900, atLsn: null }),
  })
  .map(({ promoteFailures, handoverFailed, ...rest }) =>
    memory({
      ...rest,
      role: 'replica',
      failures: {
        ...(promoteFailures > 0 && { promote: { count: promoteFailures, lastAtMs: 9_000, message: 'why', code: null } }),
        ...(handoverFailed && { handover: { count: 1, lastAtMs: 9_900, message: 'it did not stop', code: null } }),
      },
    }),
  );
