import { expect, test } from 'vitest';
import { aPrimarySql, aReplicaStatus, aStandbySql, aStatus, aView, someSettings } from '../../test/fixtures/agent.ts';
import { stringifyDefault } from '../support/big-json.ts';
import { statusBody } from './status-body.ts';

test('a primary with a standby attached, byte for byte', () => {
  const sender = {
    pid: 7,
    usename: 'replicator',
    applicationName: 'pg-2',
    clientAddr: '10.0.0.12',
    state: 'streaming',
    syncState: 'async',
    syncPriority: 0,
    writeLsn: null,
    flushLsn: null,
    replayLsn: null,
    replyTime: null,
  };
  const status = aStatus({ sql: aPrimarySql({ replication: [sender] }) });
  expect(stringifyDefault(statusBody(status, aView(), someSettings()))).toBe(
    '{"state": "running", "postmaster_start_time": "2026-11-22 20:00:00.123456+00:00", "role": "primary", "server_version": 150018, ' +
      '"xlog": {"location": 83886176}, "timeline": 3, "replication": [{"usename": "replicator", "application_name": "pg-2", ' +
      '"client_addr": "10.0.0.12", "state": "streaming", "sync_state": "async", "sync_priority": 0}], "dcs_last_seen": 1795378000, ' +
      '"database_system_identifier": "7277694203142172922", "patroni": {"version": "4.1.4", "scope": "demo", "name": "pg-1"}, ' +
      '"regent": {"rule": "leader-holds", "because": "I am the leader with the lock.", "failover_fence": {"fence": "lease", ' +
      '"rule": "lease.asynchronous", "because": "synchronous_mode is off, so the old primary could go on acknowledging commits"}}}',
  );
});

test('a synchronous replica with everything to tell, byte for byte', () => {
  const sync = { leader: 'pg-1', quorum: 0, standbys: ['PG-2'], modRevision: '1' };
  const status = aReplicaStatus({
    paused: true,
    clusterUnlocked: true,
    tags: { nofailover: true },
    pendingRestart: true,
    pendingRestartReason: {},
    scheduledRestart: { schedule: 'x', postmaster_start_time: '2026-11-22 20:00:00.123456+00:00' },
    watchdogFailed: true,
    build: '0.1.0+7.g1234567',
  });
  expect(stringifyDefault(statusBody(status, aView({ sync }), someSettings({ dynamic: { synchronousMode: 'on' } })))).toBe(
    '{"state": "running", "postmaster_start_time": "2026-11-22 20:00:00.123456+00:00", "role": "replica", "server_version": 150018, ' +
      '"xlog": {"received_location": 83886176, "replayed_location": 83886080, "replayed_timestamp": "2026-11-22 20:05:00.5+00:00", ' +
      '"paused": false}, "sync_standby": true, "timeline": 3, "replication_state": "streaming", "pause": true, "cluster_unlocked": true, ' +
      '"dcs_last_seen": 1795378000, "tags": {"nofailover": true}, "database_system_identifier": "7277694203142172922", ' +
      '"pending_restart": true, "pending_restart_reason": {}, "patroni": {"version": "4.1.4", "scope": "demo", "name": "pg-2"}, ' +
      '"scheduled_restart": {"schedule": "x"}, "watchdog_failed": true, "regent": {"version": "0.1.0+7.g1234567", "rule": "leader-holds", ' +
      '"because": "I am the leader with the lock.", "failover_fence": {"fence": "lease", "rule": "lease.leader-without-beats", ' +
      '"because": "pg-1 sends no beats: it runs Patroni, or an older Regent"}}}',
  );
});

test('a server that does not answer is unknown, and the agent vouches for the role', () => {
  const body = statusBody(aStatus({ sql: null }), null, someSettings());
  expect(body).toMatchObject({ state: 'unknown', role: 'primary' });
  expect(body).not.toHaveProperty('xlog');
  expect(statusBody(aStatus({ sql: null, state: 'stopped', role: 'demoted' }), null, someSettings())).toMatchObject({
    state: 'stopped',
    role: 'demoted',
  });
});

test('in a standby cluster a standby shows the part it plays', () => {
  const settings = someSettings({ dynamic: { raw: { standby_cluster: { host: 'elsewhere' } } } });
  expect(statusBody(aReplicaStatus({ role: 'standby_leader' }), aView(), settings)).toHaveProperty('role', 'standby_leader');
});

test('names the logical slots that a promotion would create again, and says where there are none', () => {
  const shown = (missingLogicalSlots: readonly string[] | null) =>
    statusBody(aReplicaStatus({ missingLogicalSlots }), aView(), someSettings())['regent'];
  expect(shown(['app'])).toHaveProperty('missing_logical_slots', ['app']);
  expect(shown([])).toHaveProperty('missing_logical_slots', []);
  expect(shown(null)).not.toHaveProperty('missing_logical_slots');
});

test('shows why a standby does not get its WAL', () => {
  const body = statusBody(aReplicaStatus({ sourceTrouble: 'not streaming from pg-1: pg-1:5432 does not answer' }), aView(), someSettings());
  expect(body['regent']).toHaveProperty('source_trouble', 'not streaming from pg-1: pg-1:5432 does not answer');
  expect(statusBody(aReplicaStatus({ sourceTrouble: null }), aView(), someSettings())['regent']).not.toHaveProperty('source_trouble');
});

test('shows whether a standby could still be sent WAL, once no member leads', () => {
  const told = (over: Parameters<typeof aReplicaStatus>[0]) => statusBody(aReplicaStatus(over), aView(), someSettings())['regent'];
  expect(told({ attached: true, clusterUnlocked: true })).toHaveProperty('attached', true);
  expect(told({ attached: true })).not.toHaveProperty('attached');
  expect(told({ attached: false, clusterUnlocked: true })).not.toHaveProperty('attached');
});

const PATRONI_POSITIONS: Readonly<Record<string, (value: unknown) => boolean>> = {
  location: (value) => typeof value === 'number' || typeof value === 'bigint',
  received_location: (value) => typeof value === 'number' || typeof value === 'bigint',
  replayed_location: (value) => typeof value === 'number' || typeof value === 'bigint',
  replayed_timestamp: (value) => value === null || typeof value === 'string',
  paused: (value) => typeof value === 'boolean',
};

test('xlog has what Patroni has there, of the same type, in every state', () => {
  const own = { restored: true, strayed: true, attached: true, timelineFingerprint: 'a1b2c3' };
  const sqls = [
    aPrimarySql(),
    aPrimarySql({ flushLsn: null }),
    aPrimarySql({ timeline: null }),
    aStandbySql(),
    aStandbySql({ receiveLsn: null, receiver: null, replaying: true, replayPaused: true, replayedTimestamp: null, timeline: null }),
    aStandbySql({ receiveLsn: null, replayLsn: null, receiver: null }),
  ];
  for (const sql of sqls) {
    for (const clusterUnlocked of [false, true]) {
      for (const over of [{}, own]) {
        const body = statusBody(aStatus({ sql, clusterUnlocked, ...over }), aView(), someSettings());
        const xlog = body['xlog'] as Record<string, unknown>;
        const names = sql.inRecovery ? ['received_location', 'replayed_location', 'replayed_timestamp', 'paused'] : ['location'];
        expect(Object.keys(xlog)).toEqual(names);
        for (const name of names) expect([name, xlog[name], PATRONI_POSITIONS[name]!(xlog[name])]).toEqual([name, xlog[name], true]);
      }
    }
  }
});

const TYPES: Readonly<Record<string, string>> = {
  state: 'string',
  postmaster_start_time: 'string',
  role: 'string',
  server_version: 'number',
  xlog: 'object',
  sync_standby: 'boolean',
  quorum_standby: 'boolean',
  timeline: 'number',
  replication_state: 'string',
  replication: 'object',
  pause: 'boolean',
  cluster_unlocked: 'boolean',
  dcs_last_seen: 'number',
  tags: 'object',
  database_system_identifier: 'string',
  pending_restart: 'boolean',
  pending_restart_reason: 'object',
  patroni: 'object',
  scheduled_restart: 'object',
  watchdog_failed: 'boolean',
  regent: 'object',
};
const TROUBLE: Parameters<typeof aStatus>[0] = {
  unexplained: 'x',
  clientsWait: 'x',
  sourceTrouble: 'x',
  refusedStandbyCluster: 'x',
  promotionTrouble: 'x',
  strangers: ['x'],
  lockedOut: { reason: 'x', since: 5 },
  failing: { files: 'x' },
  reinitialization: { job: 'x', state: 'failed', reason: 'x' },
};

test.each<[string, Parameters<typeof aStatus>[0]]>([
  ['leads', {}],
  [
    'nobody leads',
    { isLeader: false, clusterUnlocked: true, sql: aStandbySql(), role: 'replica', attached: true, timelineFingerprint: 'ff' },
  ],
  ['starts', { state: 'starting', sql: null, role: 'replica', isLeader: false }],
  ['is stopped', { state: 'stopped', sql: null, role: 'demoted', isLeader: false, onDisk: null, systemIdentifier: null }],
  ['is locked out', { sql: null, lockedOut: { reason: 'no pg_hba.conf entry', since: 5 }, failing: { files: 'x' } }],
  ['leads a standby cluster', { role: 'standby_leader', sql: aStandbySql() }],
  ['has never seen etcd', { clusterUnlocked: true, dcsLastSeen: 0, isLeader: false }],
  ['has everything to tell', { paused: true, pendingRestart: true, scheduledRestart: {}, watchdogFailed: true, ...TROUBLE }],
  ['has everything to tell, as a replica', { ...TROUBLE, sql: aStandbySql({ replaying: true }), restored: true, strayed: true }],
])('fields of a member that %s: Patroni’s have its names and types, and ours are all in `regent`', (_, over) => {
  const settings = someSettings({ dynamic: { raw: over?.role === 'standby_leader' ? { standby_cluster: { host: 'x' } } : {} } });
  for (const [name, value] of Object.entries(statusBody(aStatus(over), aView(), settings))) {
    expect([name, typeof value]).toEqual([name, TYPES[name]]);
  }
});

test.each([
  ['armed', false, true],
  ['armed', true, undefined],
  ['armed', null, undefined],
  ['disarmed', false, undefined],
] as const)('a primary that would outlive guard and agent says so (guard %s, tethered: %s)', (state, tethered, told) => {
  const guard = { healthy: true, state, strikesInMs: 20_000, tethered };
  const { regent } = statusBody(aStatus({ guard }), null, someSettings());
  expect((regent as { readonly untethered?: boolean }).untethered).toBe(told);
});
