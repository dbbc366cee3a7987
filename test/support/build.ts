/** Small builders for observations: a test states only what it is about. */
import { type Authority, type KeySeen, type LeaseFacts, noAuthority } from '../../src/core/authority.ts';
import type { ClusterView, Member } from '../../src/core/cluster.ts';
import { emptyMemory, type Memory, type Observation } from '../../src/core/model.ts';
import type { PeerFacts } from '../../src/core/peer-facts.ts';
import type { ControlFacts, PostgresFacts, ReceiverFacts, SlotFacts, SqlFacts, WalsenderFacts } from '../../src/core/postgres-facts.ts';
import { noLinks } from '../../src/core/quorum/link-facts.ts';
import type { DynamicSettings, LocalSettings, PostgresSettings, Settings } from '../../src/core/settings.ts';
import { type Lsn, toLsn } from '../../src/core/units.ts';

export const SYSTEM_ID = '7301234567890123456';
export const lsn = (value: number): Lsn => toLsn(value);

export function dynamic(over: Partial<DynamicSettings> = {}): DynamicSettings {
  return {
    ttlSeconds: 30,
    loopWaitSeconds: 10,
    retryTimeoutSeconds: 10,
    maximumLagOnFailoverBytes: 1_048_576,
    maximumLagOnSyncnodeBytes: -1,
    maxTimelinesHistory: 0,
    checkTimeline: false,
    primaryStartTimeoutSeconds: 300,
    primaryStopTimeoutSeconds: 0,
    primaryRaceBackoffSeconds: 0,
    synchronousMode: 'off',
    synchronousModeStrict: false,
    synchronousNodeCount: 1,
    failsafeMode: false,
    pause: false,
    standbyCluster: null,
    memberSlotsTtlSeconds: 1800,
    terminateStrangers: false,
    failoverFence: 'quorum',
    failoverOnRefusal: false,
    suspectAfterMs: 1000,
    unresponsiveAfterSeconds: 5,
    slots: {},
    slotsElsewhere: {},
    ignoreSlots: [],
    useSlots: false,
    postgresql: {},
    raw: { ttl: 30 },
    ...over,
  };
}

const postgresql = {
  listenAddresses: '*',
  port: 5432,
  connectHost: '10.0.0.1',
  connectPort: 5432,
  proxyAddress: null,
  dataDir: '/data',
  configBaseName: 'postgresql',
  krbsrvname: null,
  usePgRewind: true,
  removeDataDirectoryOnRewindFailure: false,
  removeDataDirectoryOnDivergedTimelines: false,
  pgCtlTimeoutSeconds: 60,
  createReplicaMethods: ['basebackup'],
  methodOptions: {},
} as unknown as PostgresSettings;

export function settings(
  name: string,
  over: {
    dynamic?: Partial<DynamicSettings>;
    local?: Partial<LocalSettings>;
    postgresql?: Partial<PostgresSettings>;
    byRole?: Settings['byRole'];
  } = {},
): Settings {
  const pg = { ...postgresql, ...over.postgresql };
  const local = {
    scope: 'demo',
    name,
    namespace: 'service',
    tags: {},
    watchdog: { mode: 'off', device: '/dev/watchdog', safetyMarginSeconds: 5 },
    bootstrap: { dcs: {}, method: 'initdb', initdb: [], postBootstrap: null, pgHba: [], methodOptions: null },
    postgresql: pg,
    ...over.local,
  } as unknown as LocalSettings;
  return {
    local,
    dynamic: dynamic(over.dynamic),
    postgresql: pg,
    controlledParameters: {},
    parameters: {},
    ...(over.byRole && { byRole: over.byRole }),
  };
}

export function member(name: string, over: Partial<Member> = {}): Member {
  return {
    name,
    leaseId: `lease-${name}`,
    connUrl: `postgres://${name}:5432/postgres`,
    apiUrl: `http://${name}:8008/patroni`,
    role: 'replica',
    state: 'running',
    version: '4.1.4',
    tags: {},
    lsn: lsn(1000),
    receiveLsn: null,
    replayLsn: null,
    replicationState: null,
    timeline: 1,
    pendingRestart: false,
    pendingRestartReason: null,
    scheduledRestart: null,
    checkpointAfterPromote: true,
    pause: false,
    raw: {},
    ...over,
  };
}

export function view(over: Partial<ClusterView> & { leaderName?: string; leaderLease?: string } = {}): ClusterView {
  const { leaderName, leaderLease, ...rest } = over;
  const base: ClusterView = {
    revision: '10',
    initialize: SYSTEM_ID,
    config: { data: { ttl: 30 }, modRevision: '2' },
    leader: leaderName === undefined ? null : { name: leaderName, leaseId: leaderLease ?? `lease-${leaderName}`, modRevision: '5' },
    members: [
      member('a', leaderName === 'a' ? { role: 'primary' } : {}),
      member('b', leaderName === 'b' ? { role: 'primary' } : {}),
      member('c'),
    ],
    failover: null,
    sync: null,
    history: [],
    status: { optime: lsn(1000), slots: {}, retainSlots: [] },
    failsafe: null,
  };
  return { ...base, ...rest };
}

export function sql(over: Partial<SqlFacts> = {}): SqlFacts {
  return {
    inRecovery: true,
    serverVersion: 150018,
    timeline: 1,
    flushLsn: null,
    receiveLsn: lsn(1000),
    replayLsn: lsn(1000),
    replayPaused: false,
    replayedTimestamp: null,
    receiver: null,
    replication: [],
    slots: [],
    synchronousStandbyNames: '',
    obeysSyncNames: true,
    synchronousCommit: 'on',
    primaryConninfo: '',
    primarySlotName: '',
    restoreCommand: '',
    postmasterStartTime: '2026-01-01 00:00:00.000000+00:00',
    pendingRestart: {},
    ...over,
  };
}

export function walsender(name: string, over: Partial<WalsenderFacts> = {}): WalsenderFacts {
  return {
    pid: 1,
    usename: 'replicator',
    applicationName: name,
    clientAddr: null,
    state: 'streaming',
    syncState: 'async',
    syncPriority: 0,
    writeLsn: lsn(1000),
    flushLsn: lsn(1000),
    replayLsn: lsn(1000),
    replyTime: '2026-01-01T00:00:00+00:00',
    ...over,
  };
}

/** It streams from b. */
export const walreceiver = (over: Partial<ReceiverFacts> = {}): ReceiverFacts => ({
  status: 'streaming',
  receivedTimeline: 1,
  slotName: null,
  conninfo: '',
  senderHost: 'b',
  senderPort: 5432,
  latestEndLsn: null,
  ...over,
});

export const control = (over: Partial<ControlFacts> = {}): ControlFacts => ({
  systemIdentifier: SYSTEM_ID,
  state: 'shut down',
  checkpointLsn: lsn(1000),
  timeline: 1,
  minRecoveryLsn: null,
  minRecoveryTimeline: null,
  dataChecksums: true,
  walLogHints: true,
  ...over,
});

const facts = (over: Partial<PostgresFacts>): PostgresFacts => ({
  dataDir: 'valid',
  systemIdentifier: SYSTEM_ID,
  major: 15,
  postmaster: null,
  state: 'stopped',
  sql: null,
  control: null,
  localHistory: [],
  standbySignal: false,
  ...over,
});

export const pg = {
  none: facts({ dataDir: 'missing', systemIdentifier: null, major: null }),
  primary: (over: Partial<SqlFacts> = {}) =>
    facts({
      state: 'running',
      postmaster: { pid: 7 },
      sql: sql({ inRecovery: false, flushLsn: lsn(1000), receiveLsn: null, replayLsn: null, ...over }),
    }),
  standby: (over: Partial<SqlFacts> = {}) => facts({ state: 'running', postmaster: { pid: 7 }, standbySignal: true, sql: sql(over) }),
  stopped: (over: Partial<ControlFacts> = {}, more: Partial<PostgresFacts> = {}) => facts({ control: control(over), ...more }),
  starting: (more: Partial<PostgresFacts> = {}) => facts({ state: 'starting', postmaster: { pid: 7 }, ...more }),
  unexplained: (more: Partial<PostgresFacts> = {}) =>
    facts({ state: 'unresponsive', unexplained: { pid: 77, program: 'sleep 60' }, ...more }),
};

/** A physical slot that nobody streams from. */
export function slot(name: string, restart: number, over: Partial<SlotFacts> = {}): SlotFacts {
  return {
    name,
    type: 'physical',
    active: false,
    restartLsn: lsn(restart),
    confirmedFlushLsn: null,
    xmin: null,
    plugin: null,
    database: null,
    walStatus: 'reserved',
    failover: false,
    ...over,
  };
}

export function peer(name: string, over: Partial<PeerFacts> = {}): PeerFacts {
  return {
    name,
    state: 'running',
    role: 'replica',
    inRecovery: true,
    lsn: lsn(1000),
    replayLsn: lsn(1000),
    timeline: 1,
    tags: {},
    watchdogFailed: false,
    ...over,
  };
}

export const peers = (...all: PeerFacts[]): ReadonlyMap<string, PeerFacts> => new Map(all.map((one) => [one.name, one]));

/** By default of member `a`, whose lease of 30 s was renewed at 9000 ms. */
export const authority = (lease: Partial<LeaseFacts> = {}, key: KeySeen | null = null): Authority => ({
  ...noAuthority(30),
  lease: { leaseId: 'lease-a', confirmedSentAtMs: 9000, ttlSeconds: 30, ...lease },
  key,
});

export const noLease: LeaseFacts = { leaseId: null, confirmedSentAtMs: null, ttlSeconds: 30 };

export interface Scene extends Partial<Omit<Observation, 'authority' | 'settings' | 'dcs'>> {
  readonly me?: string;
  readonly lease?: LeaseFacts;
  /** The leader key as etcd showed it last, where this round could not read it. */
  readonly key?: KeySeen;
  readonly view?: ClusterView | null;
  readonly settings?: Settings;
}

/** A round of member `a`, ten seconds after boot, its lease renewed a second ago. */
export function observation(scene: Scene = {}): Observation {
  const { me = 'a', view: seen = view(), lease, key, ...rest } = scene;
  return {
    nowMs: 10_000,
    wallMs: 1_800_000_000_000,
    settings: settings(me),
    authority: authority(lease ?? { leaseId: `lease-${me}` }, key),
    pg: pg.standby(),
    peers: null,
    source: null,
    job: null,
    ended: [],
    chores: [],
    announced: [],
    requests: { shutdown: false, restart: null, reinitialize: null },
    watchdog: { required: false, healthy: true, active: false },
    guardHealthy: true,
    syncUnsettled: false,
    configDirty: false,
    links: noLinks(Number.NEGATIVE_INFINITY),
    ...rest,
    dcs: seen === null ? { known: false, reason: 'test' } : { known: true, view: seen },
  };
}

/** Of an agent that took the leader key itself, where it holds it. */
export const memory = (over: Partial<Memory> = {}): Memory => ({ ...emptyMemory, keyTaken: true, ...over });
