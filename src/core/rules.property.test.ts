/**
 * Over random observations: every situation has a rule, no decision breaks an invariant
 * (checkDecision throws), every rule of the table is reachable, and the decision is a function of
 * its input.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, peer, peers, pg, settings, view, walsender } from '../../test/support/build.ts';
import { contextOf } from './context.ts';
import { decide } from './decide.ts';
import type { Job } from './effects.ts';
import type { Memory, Observation } from './model.ts';
import { remember } from './remember.ts';
import { allRules } from './rules/index.ts';

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
    .record({ flushLsn: position, names: fc.constantFrom('', 'b', 'ANY 1 (b,c)'), senders: fc.subarray(['b', 'c']) })
    .map((d) => pg.primary({ flushLsn: d.flushLsn, synchronousStandbyNames: d.names, replication: d.senders.map((n) => walsender(n)) })),
  running.map((d) => pg.standby(d)),
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
);

const dynamicSettings = fc.record({
  pause: fc.boolean(),
  synchronousMode: fc.constantFrom('off' as const, 'on' as const, 'quorum' as const),
  synchronousModeStrict: fc.boolean(),
  primaryStartTimeoutSeconds: fc.constantFrom(0, 300),
  checkTimeline: fc.boolean(),
  useSlots: fc.boolean(),
});

const scene = fc
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
        {
          maxLength: 2,
        },
      ),
    ),
    source: fc.option(
      fc.record({ timeline: fc.constantFrom(1, 2), inRecovery: fc.boolean(), hasOurEnd: fc.constantFrom(true, true, false) }),
    ),
    job: fc.option(job, { freq: 2 }),
    wishes: fc.record({
      shutdown: fc.nat(9).map((n) => n === 0),
      restart: fc.option(fc.constant({ timeoutMs: null }), { freq: 2 }),
      reinitialize: fc.option(fc.constant({ fromLeader: false })),
    }),
    watchdog: fc.record({ required: fc.boolean(), healthy: fc.boolean(), active: fc.boolean() }),
    guardHealthy: fc.constantFrom(true, true, true, false),
    syncUnsettled: fc.boolean(),
    configDirty: fc.boolean(),
  })
  .map(
    (d): Observation =>
      observation({
        view: d.view,
        pg: d.pg,
        nowMs: d.nowMs,
        settings: settings('a', {
          dynamic: { ...d.dynamic, pause: d.dynamic.pause && d.pausedRarely === 0 },
          local: { tags: d.tags },
          postgresql: { removeDataDirectoryOnRewindFailure: d.mayRemove, ...(d.noLeader && WITHOUT_LEADER) },
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
        wishes: d.wishes,
        watchdog: d.watchdog,
        guardHealthy: d.guardHealthy,
        syncUnsettled: d.syncUnsettled,
        configDirty: d.configDirty,
      }),
  );

const WITHOUT_LEADER = { createReplicaMethods: ['restore'], methodOptions: { restore: { no_leader: true } } };
const DOWN = { state: 'stopped', lsn: null, onDisk: { timeline: 2, lsn: lsn(1200) } };

const remembered: fc.Arbitrary<Memory> = fc
  .record({
    notRunningSinceMs: fc.option(fc.constant(-400_000)),
    abstainUntilMs: fc.option(fc.constant(11_000)),
    failed: fc.option(fc.constantFrom('start', 'start', 'promote', 'rewind', 'clone', 'bootstrap'), { freq: 2 }),
    code: fc.constantFrom('REWIND_BLIND', 'PG_START_UNRECOVERABLE'),
    promotedAtMs: fc.option(fc.constant(9_500)),
    checkpointPending: fc.boolean(),
    handedOver: fc.boolean(),
    handedOverAtMs: fc.option(fc.constant(9_500)),
    held: fc.constantFrom(
      null,
      { leaseId: 'lease-a', ttlSeconds: 30, stepDownAtMs: 33_000 },
      { leaseId: 'x', ttlSeconds: 10, stepDownAtMs: 12_000 },
    ),
    unlockedSinceMs: fc.constantFrom(null, null, null, 1000),
    keyTaken: fc.constantFrom(true, true, true, false),
    openedByHand: fc.constantFrom(false, false, false, true),
    strayed: fc.constantFrom(false, false, false, true),
    leaderlessSinceMs: fc.constantFrom(null, null, -400_000),
  })
  .map(({ failed, code, ...rest }) =>
    memory({ ...rest, failures: failed ? { [failed]: { count: 1, lastAtMs: 9_900, message: 'why', code } } : {} }),
  );

describe('the rule table', () => {
  it('has unique ids and a sentence for each', () => {
    const ids = allRules.map((rule) => rule.id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const rule of allRules) {
      expect(rule.id).toMatch(/^[a-z-]+\.[a-z-]+$/);
      expect(rule.because.length).toBeGreaterThan(4);
      expect(rule.situation.length).toBeGreaterThan(10);
    }
  });

  it('decides every situation without breaking an invariant, and every rule is reachable', () => {
    const reached = new Set<string>();
    fc.assert(
      fc.property(scene, remembered, (o, m) => {
        const decision = decide(o, m);
        reached.add(decision.rule);
        expect(decide(o, m)).toEqual(decision);
        expect(decision.because).not.toMatch(/[{}]|undefined|null/);
      }),
      { numRuns: 40_000, seed: 20261122 },
    );
    expect(allRules.map((rule) => rule.id).filter((id) => !reached.has(id))).toEqual([]);
  }, 300_000);

  it('never keeps a node writable without a confirmed lease while not paused', () => {
    fc.assert(
      fc.property(scene, remembered, (o, m) => {
        if (o.settings.dynamic.pause || o.wishes.shutdown || !o.pg.postmaster || o.pg.sql?.inRecovery || o.pg.standbySignal || o.pg.closed)
          return;
        const over = o.lease.confirmedSentAtMs === null || o.nowMs >= o.lease.confirmedSentAtMs + 24_000;
        const others = o.dcs.known && o.dcs.view.leader !== null && o.dcs.view.leader.name !== 'a';
        const ours = o.dcs.known && o.dcs.view.leader?.name === 'a' && o.dcs.view.leader.leaseId === o.lease.leaseId;
        const silentAndOver = (!o.dcs.known || ours) && over;
        if (contextOf(o, remember(o, m)).unadopted) return;
        if (!silentAndOver && !(others && o.pg.dataDir === 'valid')) return;
        const decision = decide(o, m);
        expect(decision.effects.map((effect) => effect.kind)).toContain('demote-now');
      }),
      { numRuns: 10_000 },
    );
  });
});
