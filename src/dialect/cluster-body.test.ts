import { expect, test } from 'vitest';
import { aMember, aView } from '../../test/fixtures/agent.ts';
import type { ClusterView } from '../core/cluster.ts';
import { toLsn } from '../core/units.ts';
import { stringifyDefault } from '../support/big-json.ts';
import type { JsonObject } from '../support/json.ts';
import { clusterBody } from './cluster-body.ts';

const member = aMember;

function view(overrides: Partial<ClusterView> = {}): ClusterView {
  return aView({ members: [], ...overrides });
}

function config(data: JsonObject): Partial<ClusterView> {
  return { config: { data, modRevision: '1' } };
}

const leader = member('pg-1', { role: 'primary', lsn: toLsn(0x5000060), timeline: 3, raw: { timeline: 3 } });
const streaming = member('pg-0', {
  replicationState: 'streaming',
  lsn: toLsn(0x5000000),
  receiveLsn: toLsn(0x5000000),
  replayLsn: toLsn(0x4ffff00),
  raw: { timeline: 3, tags: { clonefrom: true }, pending_restart: true },
});

test('the body of a plain cluster, byte for byte', () => {
  expect(stringifyDefault(clusterBody(view({ members: [leader, streaming, member('pg-2', { state: 'creating replica' })] }), 'demo'))).toBe(
    '{"members": [{"name": "pg-0", "role": "replica", "state": "streaming", "api_url": "http://10.0.0.10:8008/patroni", "host": "10.0.0.10", ' +
      '"port": 5432, "timeline": 3, "pending_restart": true, "tags": {"clonefrom": true}, "receive_lag": 96, "receive_lsn": "0/5000000", ' +
      '"replay_lag": 352, "replay_lsn": "0/4FFFF00", "lag": 96, "lsn": "0/5000000"}, ' +
      '{"name": "pg-1", "role": "leader", "state": "running", "api_url": "http://10.0.0.11:8008/patroni", "host": "10.0.0.11", "port": 5432, ' +
      '"timeline": 3}, ' +
      '{"name": "pg-2", "role": "replica", "state": "creating replica", "api_url": "http://10.0.0.12:8008/patroni", "host": "10.0.0.12", ' +
      '"port": 5432, "receive_lsn": "unknown", "receive_lag": "unknown", "replay_lsn": "unknown", "replay_lag": "unknown", ' +
      '"lsn": "unknown", "lag": "unknown"}], "scope": "demo"}',
  );
});

test('synchronous standbys are named after the mode, and only while there is one', () => {
  const sync = { leader: 'pg-1', quorum: 1, standbys: ['PG-0'], modRevision: '7' };
  const roleOf = (data: JsonObject): unknown =>
    (clusterBody(view({ members: [streaming], sync, ...config(data) }), 'demo')['members'] as JsonObject[])[0]?.['role'];
  expect(roleOf({ synchronous_mode: true })).toBe('sync_standby');
  expect(roleOf({ synchronous_mode: 'on' })).toBe('sync_standby');
  expect(roleOf({ synchronous_mode: 'Quorum' })).toBe('quorum_standby');
  expect(roleOf({ synchronous_mode: 'off' })).toBe('replica');
  expect(roleOf({})).toBe('replica');
});

test('a member that is a primary and does not lead is shown as one, without a lag, whoever leads', () => {
  const other = member('pg-0', { role: 'primary', lsn: toLsn(0x6000000), timeline: 3, raw: { timeline: 3 } });
  for (const over of [{}, { leader: null }]) {
    const shown = clusterBody(view({ members: [other], ...over }), 'demo')['members'] as JsonObject[];
    expect(shown).toEqual([expect.objectContaining({ name: 'pg-0', role: 'primary', state: 'running' })]);
    expect(JSON.stringify(shown)).not.toContain('lag');
  }
});

test('shows why a replica gets no WAL', () => {
  const cut = member('pg-0', { raw: { source_trouble: 'not streaming from pg-1: refused' } });
  expect((clusterBody(view({ members: [cut] }), 'demo')['members'] as JsonObject[])[0]).toMatchObject({
    source_trouble: 'not streaming from pg-1: refused',
  });
});

test('a standby cluster has a standby leader, shown by how it replicates', () => {
  const shown = member('pg-1', { role: 'standby_leader', replicationState: 'in archive recovery' });
  const body = clusterBody(view({ members: [shown], ...config({ standby_cluster: { host: 'other' } }) }), 'demo');
  expect(body['members']).toEqual([expect.objectContaining({ role: 'standby_leader', state: 'in archive recovery' })]);
  expect(JSON.stringify(body)).not.toContain('lag');
});

test('a leader that refuses to follow the server outside is shown as the primary that it is, with the reason', () => {
  const refusing = member('pg-1', { role: 'primary', raw: { standby_cluster_refused: 'another cluster' } });
  const body = clusterBody(view({ members: [refusing], ...config({ standby_cluster: { host: 'other' } }) }), 'demo');
  expect(body['members']).toEqual([expect.objectContaining({ role: 'leader', standby_cluster_refused: 'another cluster' })]);
});

test('shows a pause and a scheduled switchover', () => {
  const failover = { leader: 'pg-1', candidate: 'pg-0', scheduledAtMs: 1, scheduledAt: '2030-01-01T00:00:00+00:00', modRevision: '3' };
  expect(clusterBody(view({ failover, ...config({ pause: true }) }), 'demo')).toEqual({
    members: [],
    pause: true,
    scheduled_switchover: { at: '2030-01-01T00:00:00+00:00', from: 'pg-1', to: 'pg-0' },
    scope: 'demo',
  });
  expect(clusterBody(view({ failover: { ...failover, scheduledAt: null, scheduledAtMs: null } }), 'demo')).not.toHaveProperty(
    'scheduled_switchover',
  );
});

test('a member without a usable conn_url has no host, and one ahead of the published position has no lag', () => {
  const ahead = member('pg-2', { connUrl: null, lsn: toLsn(0x9000000) });
  const [body] = clusterBody(view({ members: [ahead] }), 'demo')['members'] as JsonObject[];
  expect(body).not.toHaveProperty('host');
  expect(body).toMatchObject({ lag: 0, lsn: '0/9000000' });
});
