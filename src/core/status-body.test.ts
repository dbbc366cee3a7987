import { expect, test } from 'vitest';
import { aPrimarySql, aReplicaStatus, aStatus, aView, someSettings } from '../../test/fixtures/agent.ts';
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
      '"database_system_identifier": "7277694203142172922", "patroni": {"version": "4.1.4", "scope": "demo", "name": "pg-1"}}',
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
    scheduledRestart: { schedule: 'x' },
    watchdogFailed: true,
  });
  expect(stringifyDefault(statusBody(status, aView({ sync }), someSettings({ dynamic: { synchronousMode: 'on' } })))).toBe(
    '{"state": "running", "postmaster_start_time": "2026-11-22 20:00:00.123456+00:00", "role": "replica", "server_version": 150018, ' +
      '"xlog": {"received_location": 83886176, "replayed_location": 83886080, "replayed_timestamp": "2026-11-22 20:05:00.5+00:00", ' +
      '"paused": false}, "sync_standby": true, "timeline": 3, "replication_state": "streaming", "pause": true, "cluster_unlocked": true, ' +
      '"dcs_last_seen": 1795378000, "tags": {"nofailover": true}, "database_system_identifier": "7277694203142172922", ' +
      '"pending_restart": true, "pending_restart_reason": {}, "patroni": {"version": "4.1.4", "scope": "demo", "name": "pg-2"}, ' +
      '"scheduled_restart": {"schedule": "x"}, "watchdog_failed": true}',
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

test('why a standby does not get its WAL', () => {
  const body = statusBody(aReplicaStatus({ sourceTrouble: 'not streaming from pg-1: pg-1:5432 does not answer' }), aView(), someSettings());
  expect(body['source_trouble']).toBe('not streaming from pg-1: pg-1:5432 does not answer');
  expect(statusBody(aReplicaStatus({ sourceTrouble: null }), aView(), someSettings())).not.toHaveProperty('source_trouble');
});

test('whether a standby could still be sent WAL, once nobody leads', () => {
  const body = (over: Parameters<typeof aReplicaStatus>[0]) => statusBody(aReplicaStatus(over), aView(), someSettings())['xlog'];
  expect(body({ attached: true, clusterUnlocked: true })).toHaveProperty('attached', true);
  expect(body({ attached: true })).not.toHaveProperty('attached');
  expect(body({ attached: false, clusterUnlocked: true })).not.toHaveProperty('attached');
});
