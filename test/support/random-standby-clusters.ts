/** Random rounds of member `a` in a cluster that follows a server outside of it. */
import fc from 'fast-check';
import type { Job } from '../../src/core/effects.ts';
import type { Memory, Observation } from '../../src/core/model.ts';
import type { StandbyClusterSettings } from '../../src/core/settings.ts';
import { lsn, observation, peer, peers, pg, SYSTEM_ID, settings, view } from './build.ts';
import { anyMemory, anyRound } from './random-rounds.ts';

const follows = (over: Partial<StandbyClusterSettings> = {}): StandbyClusterSettings => ({
  endpoints: [{ host: '10.9.9.9', port: 5432 }],
  primarySlotName: null,
  restoreCommand: null,
  archiveCleanupCommand: null,
  recoveryMinApplyDelay: null,
  createReplicaMethods: [],
  ...over,
});

export const standbyClusters: readonly StandbyClusterSettings[] = [
  follows(),
  follows({ endpoints: [1, 2].map((n) => ({ host: `10.9.9.${n}`, port: 5432 })), primarySlotName: 'dc2' }),
  follows({ endpoints: [], restoreCommand: 'cp /archive/%f %p' }),
  // A member of this cluster itself.
  follows({ endpoints: [{ host: 'b', port: 5432 }] }),
];

const standbyCluster = fc.constantFrom(...standbyClusters);

/** As the configuration makes them: what has to be confirmed is off. */
const inStandbyCluster = (o: Observation, followed: StandbyClusterSettings): Observation => ({
  ...o,
  settings: {
    ...o.settings,
    dynamic: { ...o.settings.dynamic, standbyCluster: followed, synchronousMode: 'off', failsafeMode: false, failoverOnRefusal: false },
  },
});

const retarget: Job = { kind: 'retarget', timeline: 1, role: { kind: 'standby', source: null } };
const jobs: fc.Arbitrary<Job | null> = fc.constantFrom<(Job | null)[]>(null, null, null, { kind: 'demote-cluster' }, retarget);

const anyOne: fc.Arbitrary<Observation> = fc
  .record({ o: anyRound, standbyCluster, job: jobs })
  .map(({ o, job, ...d }) => inStandbyCluster(job === null ? o : { ...o, job: { job, startedAtMs: 1 } }, d.standbyCluster));

/** Of another cluster. */
export const FOREIGN_ID = '7409999999999999999';

const remote = fc.option(
  fc.record({
    systemIdentifier: fc.constantFrom(SYSTEM_ID, SYSTEM_ID, SYSTEM_ID, FOREIGN_ID),
    timeline: fc.constantFrom(1, 2),
    inRecovery: fc.constantFrom(false, false, true),
    lsn: fc.constantFrom(lsn(900), lsn(2000)),
  }),
);

/** As the second of `standbyClusters` has it. */
export const onRemoteSlot = pg.standby({ primaryConninfo: 'host=10.9.9.1,10.9.9.2 port=5432,5432', primarySlotName: 'dc2' });

/** It holds the leader key, runs or is down, and its history may be that of the server outside. */
const leading: fc.Arbitrary<Observation> = fc
  .record({
    standbyCluster,
    remote,
    pg: fc.constantFrom(
      pg.standby(),
      { ...pg.standby(), walGone: true as const },
      {
        ...pg.standby({ receiveLsn: lsn(900), replayLsn: lsn(900) }),
        aimsAt: { timeline: 2, history: [{ timeline: 1, switchLsn: lsn(1500), reason: 'x' }] },
      },
      pg.standby({ receiver: { status: 'streaming', pid: 3, latestEndLsn: lsn(1000), senderHost: '10.9.9.9', senderPort: 5432 } as never }),
      onRemoteSlot,
      pg.primary(),
      pg.stopped(),
      pg.stopped({ state: 'in production' }),
      pg.stopped({ state: 'shut down in recovery', minRecoveryLsn: lsn(1000), minRecoveryTimeline: 1 }, { standbySignal: true }),
      { ...pg.stopped(), dataDir: 'incomplete' as const, incompleteWork: 'rewind' as const },
      { ...pg.none },
    ),
    initialize: fc.constantFrom(SYSTEM_ID, SYSTEM_ID, SYSTEM_ID, null),
    leader: fc.constantFrom('a', 'a', 'a', 'b', null),
    pause: fc.constantFrom(false, false, false, true),
    etcdSilent: fc.constantFrom(false, false, false, true),
    other: fc.constantFrom(null, peer('b', { lsn: lsn(900) }), peer('b')),
    failover: fc.constantFrom(null, null, { leader: 'a', candidate: 'b', scheduledAtMs: null, scheduledAt: null, modRevision: '9' }),
  })
  .map((d) => {
    const source = d.remote && { name: '10.9.9.9:5432', history: [], ...d.remote };
    const o = observation({
      view: d.etcdSilent
        ? null
        : { ...view(d.leader === null ? {} : { leaderName: d.leader }), initialize: d.initialize, failover: d.failover as never },
      pg: d.pg,
      peers: d.other && peers(d.other),
      settings: settings('a', { dynamic: { pause: d.pause } }),
      source: source && (source.timeline === 1 ? source : { ...source, history: [{ timeline: 1, switchLsn: lsn(950), reason: 'x' }] }),
    });
    return inStandbyCluster(o, d.standbyCluster);
  });

export const standbyClusterRound: fc.Arbitrary<Observation> = fc.oneof(anyOne, leading);

export const standbyClusterMemory: fc.Arbitrary<Memory> = fc
  .record({
    m: anyMemory,
    role: fc.constantFrom<Memory['role'][]>('replica', 'standby_leader', 'primary'),
    endedAt: fc.option(fc.constant({ timeline: 1, checkpointLsn: lsn(1000), open: false })),
    demoteFailed: fc.constantFrom(false, false, false, true),
    mayPromote: fc.constantFrom(false, false, false, true),
    rewindRefused: fc.constantFrom(false, false, true),
  })
  .map(({ m, demoteFailed, mayPromote, rewindRefused, ...rest }) => ({
    ...m,
    ...rest,
    failures: {
      ...m.failures,
      ...(demoteFailed && { 'demote-cluster': { count: 1, lastAtMs: 9_900, message: 'it did not stop', code: null } }),
      ...(rewindRefused && { rewind: { count: 1, lastAtMs: 9_900, message: 'no WAL', code: 'REWIND_WAL_GONE' } }),
      ...(mayPromote && { promote: { count: 1, lastAtMs: 9_900, message: 'too slow', code: 'PROMOTE_TIMEOUT' } }),
    },
  }));
