import { describe, expect, test } from 'vitest';
import { aPrimarySql, aReplicaStatus, aStandbySql, aStatus, aView, PRIMARY_LSN, someSettings } from '../../test/fixtures/agent.ts';
import type { ClusterView } from '../core/cluster.ts';
import type { Settings } from '../core/settings.ts';
import { toLsn } from '../core/units.ts';
import type { AgentStatus } from '../ports/agent-status.ts';
import { healthCheck, livenessCheck, parseBytes, readinessCheck } from './health-checks.ts';

interface Situation {
  readonly status: AgentStatus;
  readonly view: ClusterView | null;
  readonly settings: Settings;
}

const listed = aView({ sync: { leader: 'pg-1', quorum: 1, standbys: ['pg-2'], modRevision: '1' } });
const standbyCluster = someSettings({ dynamic: { raw: { standby_cluster: { host: 'elsewhere' } } } });
const plain = someSettings();

const situations = {
  primary: { status: aStatus(), view: aView(), settings: plain },
  replica: { status: aReplicaStatus(), view: aView(), settings: plain },
  syncReplica: { status: aReplicaStatus(), view: listed, settings: someSettings({ dynamic: { synchronousMode: 'on' } }) },
  quorumReplica: { status: aReplicaStatus(), view: listed, settings: someSettings({ dynamic: { synchronousMode: 'quorum' } }) },
  standbyLeader: { status: aReplicaStatus({ role: 'standby_leader', isLeader: true }), view: aView(), settings: standbyCluster },
  promoting: { status: aReplicaStatus({ role: 'promoted', isLeader: true, jobLabel: 'promote' }), view: aView(), settings: plain },
  primaryWithoutEtcd: { status: aStatus({ clusterUnlocked: true }), view: null, settings: plain },
  replicaWithoutEtcd: { status: aReplicaStatus({ clusterUnlocked: true }), view: null, settings: plain },
  withoutLease: { status: aStatus({ isLeader: false }), view: null, settings: plain },
  pausedPrimaryWithoutEtcd: { status: aStatus({ isLeader: false, paused: true }), view: null, settings: plain },
  pausedReplicaWithoutEtcd: { status: aReplicaStatus({ paused: true }), view: null, settings: plain },
  unresponsive: { status: aReplicaStatus({ sql: null }), view: aView(), settings: plain },
  starting: { status: aReplicaStatus({ state: 'starting', sql: null }), view: aView(), settings: plain },
  stopped: { status: aReplicaStatus({ state: 'stopped', role: 'demoted', sql: null }), view: aView(), settings: plain },
} satisfies Record<string, Situation>;

const names = Object.keys(situations) as (keyof typeof situations)[];
const everywhere = names.join(' ');
const serving =
  'primary primaryWithoutEtcd withoutLease pausedPrimaryWithoutEtcd replica syncReplica quorumReplica replicaWithoutEtcd pausedReplicaWithoutEtcd standbyLeader promoting';
const replicas = 'replica syncReplica quorumReplica replicaWithoutEtcd pausedReplicaWithoutEtcd';
const primaries = 'primary primaryWithoutEtcd pausedPrimaryWithoutEtcd';

/** Path to the situations in which it answers 200. */
const table: readonly (readonly [path: string, healthy: string])[] = [
  ['/', primaries],
  ['/primary', primaries],
  ['/master', primaries],
  ['/read-write', primaries],
  ['/leader', `${primaries} standbyLeader promoting`],
  ['/standby_leader', 'standbyLeader'],
  ['/standby-leader', 'standbyLeader'],
  ['/replica', `${replicas} promoting`],
  ['/read-only', `${primaries} ${replicas} standbyLeader promoting`],
  ['/health', serving],
  ['/sync', 'syncReplica'],
  ['/synchronous', 'syncReplica'],
  ['/quorum', 'quorumReplica'],
  ['/async', 'replica promoting'],
  ['/asynchronous', 'replica promoting'],
  ['/read-only-sync', `${primaries} syncReplica standbyLeader`],
  ['/read-only-synchronous', `${primaries} syncReplica standbyLeader`],
  ['/read-only-quorum', `${primaries} quorumReplica standbyLeader`],
  ['/deep/primary/x', primaries],
  ['/patroni', ''],
  ['/cluster', ''],
  ['/liveness', ''],
  ['/sync/', ''],
  ['/nonsense', ''],
];

describe.each(table)('%s', (path, healthy) => {
  test.each(names)('%s', (name) => {
    const { status, view, settings } = situations[name];
    expect(healthCheck(path, new Map(), status, view, settings)).toBe(healthy.split(' ').includes(name) ? 200 : 503);
  });
});

test('the table names known situations only', () => {
  for (const [, healthy] of table) for (const name of healthy.split(' ').filter(Boolean)) expect(everywhere.split(' ')).toContain(name);
});

function replicaCode(
  query: Record<string, string>,
  tags: Settings['local']['tags'] = {},
  status = aReplicaStatus(),
  view = aView(),
): number {
  return healthCheck('/replica', new Map(Object.entries(query)), status, view, someSettings({ tags }));
}

test('lag counts from the furthest known position of the leader to what is replayed', () => {
  // The fixture's standby has replayed to 96 bytes before the published position.
  expect(replicaCode({ lag: '96' })).toBe(200);
  expect(replicaCode({ lag: '95' })).toBe(503);
  expect(replicaCode({ lag: '1kB' })).toBe(200);
  expect(replicaCode({ lag: 'much' })).toBe(200);
  const receiver = { ...aStandbySql().receiver!, latestEndLsn: toLsn(PRIMARY_LSN + 1000n) };
  const behind = aReplicaStatus({ sql: aStandbySql({ receiver }) });
  expect(replicaCode({ lag: '1095' }, {}, behind)).toBe(503);
  expect(replicaCode({ lag: '1096' }, {}, behind)).toBe(200);
  expect(replicaCode({ lag: '0' }, {}, aReplicaStatus({ sql: aStandbySql({ receiver: null, replayLsn: null }) }))).toBe(503);
});

test('sizes with units', () => {
  expect(parseBytes('10MB')).toBe(10 * 1024 * 1024);
  expect(parseBytes(' 16 kB ')).toBe(16384);
  expect(parseBytes('1.5GB')).toBe(1.5 * 1024 ** 3);
  expect(parseBytes('10mb')).toBeNull();
  expect(parseBytes(undefined)).toBeNull();
});

test('replication_state and noloadbalance', () => {
  expect(replicaCode({ replication_state: 'streaming' })).toBe(200);
  expect(replicaCode({ replication_state: 'in archive recovery' })).toBe(503);
  expect(replicaCode({}, { noloadbalance: true })).toBe(503);
  // A primary serves reads whatever its tags say of balancing.
  expect(healthCheck('/read-only', new Map(), aStatus(), aView(), someSettings({ tags: { noloadbalance: true } }))).toBe(200);
});

test('tag filters compare with the configured tags as text', () => {
  const tags = { zone: 'A', clonefrom: true, weight: 1.4 };
  expect(replicaCode({ tag_zone: 'A' }, tags)).toBe(200);
  expect(replicaCode({ tag_zone: 'a' }, tags)).toBe(503);
  expect(replicaCode({ tag_clonefrom: 'true', tag_weight: '1.4' }, tags)).toBe(200);
  expect(replicaCode({ tag_absent: 'x' }, tags)).toBe(503);
  expect(replicaCode({ tag_constructor: 'x' }, tags)).toBe(503);
  expect(healthCheck('/primary', new Map([['tag_zone', 'B']]), aStatus(), aView(), someSettings({ tags }))).toBe(200);
  expect(healthCheck('/health', new Map([['tag_zone', 'B']]), aStatus(), aView(), someSettings({ tags }))).toBe(503);
});

test('liveness fails once a round is overdue: after ttl on a primary, twice that elsewhere', () => {
  const late = (ms: number) => ({ nextRoundAtMs: 100_000, nowMs: 100_000 + ms });
  expect(livenessCheck(aStatus(late(29_999)), plain)).toBe(200);
  expect(livenessCheck(aStatus(late(30_000)), plain)).toBe(503);
  expect(livenessCheck(aReplicaStatus(late(59_999)), plain)).toBe(200);
  expect(livenessCheck(aReplicaStatus(late(60_000)), plain)).toBe(503);
  expect(livenessCheck(aReplicaStatus({ ...late(60_000), paused: true }), plain)).toBe(200);
});

test('readiness: the leader, and a standby that streams close behind', () => {
  const ready = (query: Record<string, string>, status: AgentStatus, view: ClusterView | null = aView()) =>
    readinessCheck(new Map(Object.entries(query)), status, view, plain);
  expect(ready({}, aStatus())).toBe(200);
  expect(ready({}, aStatus({ isLeader: false, sql: aPrimarySql() }))).toBe(503);
  expect(ready({}, aReplicaStatus())).toBe(200);
  expect(ready({ lag: '95' }, aReplicaStatus())).toBe(503);
  expect(ready({ lag: '95', mode: 'write' }, aReplicaStatus())).toBe(200);
  const far = aView({ status: { optime: toLsn(PRIMARY_LSN + 2_000_000n), slots: {}, retainSlots: [] } });
  expect(ready({}, aReplicaStatus(), far)).toBe(503);
  expect(ready({ lag: '10MB' }, aReplicaStatus(), far)).toBe(200);
  const archive = aReplicaStatus({ sql: aStandbySql({ receiver: null, restoreCommand: 'cp' }) });
  expect(ready({}, archive)).toBe(503);
  const receiver = { ...aStandbySql().receiver!, latestEndLsn: null };
  expect(ready({}, aReplicaStatus({ sql: aStandbySql({ receiver }) }), null)).toBe(503);
  expect(ready({}, aReplicaStatus({ sql: null }))).toBe(503);
});
