import { expect, test } from 'vitest';
import { aReplicaStatus, aStandbySql, aStatus, someSettings } from '../../test/fixtures/agent.ts';
import { toLsn } from '../core/units.ts';
import { stringifyCompact } from '../support/big-json.ts';
import { memberRecord, publishedTags, replicationState } from './member-record.ts';

test('a healthy primary, byte for byte', () => {
  expect(stringifyCompact(memberRecord(aStatus(), someSettings()))).toBe(
    '{"conn_url":"postgres://10.0.0.11:5432/postgres","api_url":"http://10.0.0.11:8008/patroni","state":"running","role":"primary",' +
      '"version":"4.1.4","xlog_location":83886176,"timeline":3,"beats":1}',
  );
});

test('a replica with everything to tell, byte for byte', () => {
  const status = aReplicaStatus({
    tags: { clonefrom: true, noloadbalance: false, zone: 'a' },
    pendingRestart: true,
    pendingRestartReason: { max_connections: { old_value: '100', new_value: '200' } },
    scheduledRestart: { schedule: '2030-01-01T00:00:00+00:00' },
    paused: true,
  });
  const settings = someSettings({ restapi: { certfile: 'rest.crt' }, postgresql: { proxyAddress: '10.0.0.9:6432', connectHost: '::1' } });
  expect(stringifyCompact(memberRecord(status, settings))).toBe(
    '{"conn_url":"postgres://[::1]:5432/postgres","api_url":"https://10.0.0.11:8008/patroni","state":"running","role":"replica",' +
      '"version":"4.1.4","proxy_url":"postgres://10.0.0.9:6432/postgres","tags":{"clonefrom":true,"zone":"a"},"pending_restart":true,' +
      '"pending_restart_reason":{"max_connections":{"old_value":"100","new_value":"200"}},"xlog_location":83886176,"receive_lsn":83886176,' +
      '"replay_lsn":83886080,"replication_state":"streaming","timeline":3,"scheduled_restart":{"schedule":"2030-01-01T00:00:00+00:00"},"beats":1,"pause":true}',
  );
});

test('positions are left out while a job other than promote runs, or PostgreSQL is down', () => {
  expect(memberRecord(aStatus({ jobLabel: 'restart' }), someSettings())).not.toHaveProperty('xlog_location');
  expect(memberRecord(aStatus({ jobLabel: 'promote' }), someSettings())).toHaveProperty('xlog_location');
  expect(memberRecord(aStatus({ state: 'stopped' }), someSettings())).not.toHaveProperty('timeline');
  expect(memberRecord(aStatus({ sql: null }), someSettings())).not.toHaveProperty('xlog_location');
});

test('only a primary that still runs the checkpoint after its promotion publishes it', () => {
  expect(memberRecord(aStatus({ checkpointAfterPromote: false }), someSettings())).toHaveProperty('checkpoint_after_promote', false);
  expect(memberRecord(aStatus({ checkpointAfterPromote: true }), someSettings())).not.toHaveProperty('checkpoint_after_promote');
  expect(memberRecord(aReplicaStatus({ checkpointAfterPromote: false }), someSettings())).not.toHaveProperty('checkpoint_after_promote');
});

test('configuration files that could not be updated are published, other chores are not', () => {
  const failing = { 'configuration files': 'pg_hba.conf: line 3: invalid connection type "hots"', 'replication slots': 'all are in use' };
  expect(memberRecord(aStatus({ failing }), someSettings())).toMatchObject({ files_outdated: failing['configuration files'] });
  expect(memberRecord(aStatus({ failing: { 'replication slots': 'x' } }), someSettings())).not.toHaveProperty('files_outdated');
});

test('a member that waits for its turn to copy logical slots says so', () => {
  expect(memberRecord(aReplicaStatus({ awaitsSlotCopy: true }), someSettings())).toHaveProperty('awaits_slot_copy', true);
  expect(memberRecord(aReplicaStatus({ awaitsSlotCopy: false }), someSettings())).not.toHaveProperty('awaits_slot_copy');
});

test('a position beyond 2^53 stays exact', () => {
  const sql = aStandbySql({ receiveLsn: toLsn(0xffff_ffff_ffff_fff0n), replayLsn: null });
  expect(memberRecord(aReplicaStatus({ sql }), someSettings())).toMatchObject({ xlog_location: 18446744073709551600n });
});

test('a tag that is off is published only when it decides over its number', () => {
  expect(publishedTags({ nofailover: false, nosync: false, clonefrom: false })).toEqual({});
  expect(publishedTags({ nofailover: false, failover_priority: 2, nosync: false, sync_priority: 0 })).toEqual({
    nofailover: false,
    failover_priority: 2,
    nosync: false,
    sync_priority: 0,
  });
});

test('why a standby gets no WAL is published, and nothing where it does', () => {
  const trouble = 'not streaming from pg-1: pg-1:5432 does not answer';
  expect(memberRecord(aReplicaStatus({ sourceTrouble: trouble }), someSettings())).toHaveProperty('source_trouble', trouble);
  expect(memberRecord(aReplicaStatus({ sourceTrouble: null }), someSettings())).not.toHaveProperty('source_trouble');
});

test('why a leader does not follow the server outside is published', () => {
  const refusing = aReplicaStatus({ refusedStandbyCluster: 'another cluster' });
  expect(memberRecord(refusing, someSettings())).toHaveProperty('standby_cluster_refused', 'another cluster');
});

test('how a standby replicates', () => {
  const receiver = { ...aStandbySql().receiver!, status: 'waiting' };
  expect(replicationState(aStandbySql())).toBe('streaming');
  expect(replicationState(aStandbySql({ receiver, restoreCommand: 'cp' }))).toBe('in archive recovery');
  expect(replicationState(aStandbySql({ receiver: null, restoreCommand: '' }))).toBeNull();
});
