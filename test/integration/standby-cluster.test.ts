/**
 * Two clusters, of which one follows the other: the follower is made from it, by a method of the
 * user's and from the second of two addresses, cascades, changes its leader, becomes a cluster of
 * its own, and takes the former primary cluster in as its follower. In the end it lives by an
 * archive alone, and is told to follow a third cluster by mistake.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findBinDir } from './support/bin-dir.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { freePort } from './support/ports.ts';

let main: Cluster;
let other: Cluster;
let third: Cluster | undefined;

/** Copies as a program of the user's does, from where it is told. */
const COPY = `#!/bin/sh
echo "$@" >> "$(dirname "$0")/calls"
for word in "$@"; do case $word in
  --datadir=*) directory=\${word#*=} ;;
  --connstring=*) from=\${word#*=} ;;
esac; done
exec PG_BASEBACKUP -D "$directory" -d "$from" -X stream -c fast
`;

beforeAll(async () => {
  const slots = { app: { type: 'logical', database: 'postgres', plugin: 'test_decoding' } };
  const postgresql = { parameters: { wal_level: 'logical' } };
  main = await startCluster({ nodes: 1, dynamic: { synchronous_mode: null, slots, postgresql } });
  const port = `${await freePort()},${main.nodes[0]!.place.postgresPort}`;
  const standby_cluster = { host: '127.0.0.1,127.0.0.1', port, create_replica_methods: ['mine'] };
  other = await startCluster({
    nodes: 2,
    start: false,
    dynamic: { synchronous_mode: 'quorum', standby_cluster },
    local: () => ({ postgresql: { mine: { command: 'sh ../copy.sh' } } }),
  });
  const { uid, gid } = other.nodes[0]!.place.owner;
  writeFileSync(join(other.root, 'copy.sh'), COPY.replace('PG_BASEBACKUP', join(findBinDir(), 'pg_basebackup')));
  chmodSync(join(other.root, 'copy.sh'), 0o755);
  mkdirSync(join(other.root, 'archive'));
  for (const path of [other.root, join(other.root, 'archive')]) chownSync(path, uid, gid);
  await main.nodes[0]!.sql('insert into writes values (1)');
  for (const node of other.nodes) node.start();
});
afterAll(async () => {
  await third?.close();
  await other?.close();
  await main?.close();
});

interface Shown {
  readonly members: readonly { readonly name: string; readonly role: string; readonly state: string }[];
}

const rolesOf = async (cluster: Cluster): Promise<string> => {
  const answers = await Promise.all(cluster.nodes.map((node) => node.rest('/cluster')));
  const body = answers.find((answer) => answer?.status === 200)?.body as unknown as Shown | undefined;
  return (body?.members ?? [])
    .map(({ role, state }) => `${role} ${state}`)
    .sort()
    .join(', ');
};

async function standbyLeader(cluster: Cluster, not?: string): Promise<ClusterNode> {
  return cluster.eventually('a standby leader that streams', 90_000, async () => {
    const codes = await Promise.all(cluster.nodes.map((node) => node.rest('/standby_leader')));
    const leaders = cluster.nodes.filter((node, i) => codes[i]?.status === 200 && node.name !== not);
    const roles = await rolesOf(cluster);
    const streams = roles.match(/streaming/g)?.length === cluster.nodes.length;
    return leaders.length === 1 && streams ? { value: leaders[0]! } : { missing: `${codes.map((code) => code?.status)}: ${roles}` };
  });
}

const rows = async (node: ClusterNode) => Number((await node.sql('select count(*) from writes').catch(() => []))[0]?.['count'] ?? -1);
/** -1: it does not answer. */
const ownRows = async (node: ClusterNode) =>
  Number((await node.sql('select count(*) from writes where id = 101').catch(() => []))[0]?.['count'] ?? -1);
const hasRows = (cluster: Cluster, count: number) =>
  cluster.eventually(`${count} rows everywhere`, 60_000, async () => {
    const found = await Promise.all(cluster.nodes.map(rows));
    return found.every((n) => n === count) ? { value: found } : { missing: `${cluster.nodes.map(({ name }) => name)} have ${found}` };
  });

async function expectNobodyWrites(cluster: Cluster): Promise<void> {
  for (const node of cluster.nodes) {
    expect(await node.sql('select pg_is_in_recovery()')).toEqual([{ pg_is_in_recovery: true }]);
    expect((await node.answer('/primary')).status).toBe(503);
  }
}

const follows = (node: ClusterNode, source: ClusterNode) =>
  other.until(`${node.name} follows ${source.name}`, 30_000, async () => {
    const [receiver] = await node.sql('select sender_port from pg_stat_wal_receiver');
    return receiver?.['sender_port'] === source.place.postgresPort;
  });
const answers = (node: ClusterNode, path: string) =>
  other.until(`${node.name} answers ${path}`, 30_000, async () => (await node.rest(path))?.status === 200);

test('a standby cluster is made from its source, cascades, and changes its leader', async () => {
  const leader = await standbyLeader(other);
  const [replica] = other.others(leader.name) as [ClusterNode];
  await hasRows(other, 1);
  await expectNobodyWrites(other);
  expect(readFileSync(join(other.root, 'calls'), 'utf8').match(/--scope=itest --role=replica --datadir=/g)).toHaveLength(2);
  await follows(leader, main.nodes[0]!);
  await follows(replica, leader);
  await answers(leader, '/leader');
  await answers(replica, '/replica');
  await other.until('both are shown', 30_000, async () => (await rolesOf(other)) === 'replica streaming, standby_leader streaming');

  await other.until('the copy by the method counts as caught up', 40_000, async () => {
    const told = (await replica.rest('/patroni'))?.body?.['regent'];
    return told !== undefined && !JSON.stringify(told).includes('"restored":true');
  });
  const { code, stdout } = await other.ctl(['switchover', '--force', '--candidate', replica.name]);
  expect([code, stdout]).toEqual([0, expect.stringContaining(`Successfully switched over to "${replica.name}"`)]);
  await main.nodes[0]!.sql('insert into writes values (2)');
  expect((await standbyLeader(other, leader.name)).name).toBe(replica.name);
  await hasRows(other, 2);
  await expectNobodyWrites(other);
});

test('it is promoted in place, and the former primary cluster follows it after a rewind', async () => {
  const before = await standbyLeader(other);
  const pid = before.postmasterPid;
  const promoted = await other.ctl(['promote-cluster', '--force']);
  expect([promoted.code, promoted.stdout]).toEqual([0, expect.stringContaining('cluster is successfully promoted')]);
  expect(await other.waitHealthy()).toBe(before.name);
  expect(before.postmasterPid).toBe(pid);
  await other.until('history tells why', 30_000, async () =>
    JSON.stringify(await other.key('history')).includes('the standby cluster was promoted: an operator removed standby_cluster'),
  );
  await before.sql('insert into writes values (3), (4)');
  // What it writes from here on is not a part of the other's history.
  await main.nodes[0]!.sql('insert into writes values (100)');

  const { host, postgresPort } = before.place;
  const demoted = await main.ctl(['demote-cluster', '--force', '--host', host, '--port', String(postgresPort)], 60_000);
  expect([demoted.code, demoted.stdout]).toEqual([0, expect.stringContaining('cluster is successfully demoted')]);
  expect(demoted.stderr).toContain('logical slots are dropped, because a standby cluster keeps none: app;');
  expect(main.nodes[0]!.log()).toContain('logical replication slot app is given up');
  await standbyLeader(main);
  expect(main.nodes[0]!.log()).toContain('running pg_rewind');
  await hasRows(main, 4);
  await expectNobodyWrites(main);
});

test('a cluster that runs is demoted with its replicas, and its leader stays', async () => {
  expect((await main.ctl(['promote-cluster', '--force'])).code).toBe(0);
  expect(main.nodes[0]!.log()).toContain('logical replication slot app is created again: this cluster followed');
  await main.nodes[0]!.sql('insert into writes values (5)');
  const leader = other.node(await other.waitHealthy());
  await leader.sql('insert into writes values (101)');
  const { host, postgresPort } = main.nodes[0]!.place;
  // Straight into etcd, as a patronictl does it too.
  const sets = [`standby_cluster.host=${host}`, `standby_cluster.port=${postgresPort}`].flatMap((change) => ['-s', change]);
  expect((await other.ctl(['edit-config', '--force', ...sets])).code).toBe(0);
  expect((await standbyLeader(other)).name).toBe(leader.name);
  // It had five rows before as well: one that the server outside lacks, in place of one that it
  // lacks itself.
  await other.until('the row of its own is gone everywhere', 60_000, async () =>
    (await Promise.all(other.nodes.map(ownRows))).every((count) => count === 0),
  );
  await hasRows(other, 5);
  await expectNobodyWrites(other);
  await other.until('nobody counts as synchronous', 30_000, async () => (await other.key('sync')) === null);
});

test('it goes on by an archive alone', async () => {
  const [source] = main.nodes as [ClusterNode];
  const leader = await standbyLeader(other);
  const restore = `cp ${join(other.root, 'archive')}/%f %p`;
  const changes = ['host=null', 'port=null', `restore_command=${restore}`].flatMap((change) => ['-s', `standby_cluster.${change}`]);
  expect((await other.ctl(['edit-config', '--force', ...changes])).code).toBe(0);
  await other.until('it reads the archive alone', 40_000, async () => {
    const [row] = await leader.sql(`select current_setting('primary_conninfo') a, current_setting('restore_command') b`);
    return row?.['a'] === '' && row['b'] === restore;
  });
  const [segment] = await source.sql('select pg_walfile_name(pg_current_wal_lsn()) as name');
  await source.sql('insert into writes values (6)');
  await source.sql('select pg_switch_wal()');
  execFileSync('cp', [join(source.dataDir, 'pg_wal', String(segment?.['name'])), join(other.root, 'archive')], source.place.owner);
  await hasRows(other, 6);
  await expectNobodyWrites(other);
});

test('a leader that is told to follow another cluster goes on as the primary, and says so until that is taken back', async () => {
  third = await startCluster({ nodes: 1, dynamic: { synchronous_mode: null } });
  const [leader] = main.nodes as [ClusterNode];
  const pid = leader.postmasterPid;
  const { host, postgresPort } = third.nodes[0]!.place;
  const sets = [`standby_cluster.host=${host}`, `standby_cluster.port=${postgresPort}`].flatMap((change) => ['-s', change]);
  expect((await main.ctl(['edit-config', '--force', ...sets])).code).toBe(0);
  const said = `not becoming a standby leader, and taking writes as before: ${host}:${postgresPort} is another cluster`;
  await main.until('it refuses', 40_000, async () => (await main.ctl(['list'])).stdout.includes(`node1 is ${said}`));
  await main.until('its log says so', 10_000, () => leader.log().includes(said));
  await leader.sql('insert into writes values (7)');
  expect([(await leader.answer('/primary')).status, leader.postmasterPid]).toEqual([200, pid]);
  await main.until('health says so', 30_000, async () =>
    (await main.ctl(['health', '--no-haproxy'])).stdout.includes(`warning: node1 is ${said}`),
  );
  expect((await main.ctl(['edit-config', '--force', '-s', 'standby_cluster=null'])).code).toBe(0);
  await main.until('nothing is refused any more', 40_000, async () => !(await main.ctl(['list'])).stdout.includes(said));
  expect([await main.waitHealthy(), leader.postmasterPid]).toEqual(['node1', pid]);
});
