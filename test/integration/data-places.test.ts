/**
 * Data directories as people have them: below a directory that is root's, open to the world, with
 * tablespaces, half emptied, with foreign things in them.
 */
import { chmodSync, chownSync, mkdirSync, readdirSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { editLocal } from './support/local-config.ts';
import { mendAfterFailure } from './support/mend.ts';

let cluster: Cluster;
const elsewhere = (name: string) => join(cluster.root, `${name}.elsewhere`);

beforeAll(async () => {
  cluster = await startCluster({ nodes: 2, start: false, dynamic: { synchronous_mode: null, primary_start_timeout: 0 } });
  for (const node of cluster.nodes) {
    const { uid, gid } = node.place.owner;
    // Nothing but the data directory is PostgreSQL's user's in it.
    mkdirSync(node.dataDir, { mode: 0o755 });
    mkdirSync(elsewhere(node.name));
    for (const path of [node.dataDir, elsewhere(node.name)]) chownSync(path, uid, gid);
    editLocal(node, {
      postgresql: { pgpass: join(elsewhere(node.name), 'pgpass'), parameters: { unix_socket_directories: elsewhere(node.name) } },
    });
    chownSync(node.place.directory, 0, 0);
    chmodSync(node.place.directory, 0o755);
    node.start();
  }
  const leader = await cluster.waitHealthy(90_000, cluster.nodes);
  await cluster.node(leader).sql('create table writes (id bigint primary key)');
});
afterAll(() => cluster?.close());
mendAfterFailure(() => cluster);

const marksOf = (node: ClusterNode) => readdirSync(node.dataDir).filter((name) => /regent-(?!etcd)/.test(name));
/** Whoever looks may be quicker than the agent, which removes a mark of work that is done. */
const noMarks = (node: ClusterNode) => cluster.until(`no mark is left on ${node.name}`, 20_000, () => marksOf(node).length === 0);

test('below a directory of root’s, a cluster is made and cloned, and a former primary is rewound', async () => {
  const old = cluster.node(await cluster.waitHealthy());
  for (const node of cluster.nodes) {
    expect(statSync(node.dataDir).mode & 0o777).toBe(0o700);
    await noMarks(node);
  }
  const [sender] = await old.sql<{ pid: number }>('select pid from pg_stat_replication');
  await old.freezePart(sender!.pid);
  await old.sql('insert into writes values (1)');
  await old.killAll();
  const successor = await cluster.waitForLeader({ not: old.name });
  old.start();
  expect(await cluster.waitHealthy()).toBe(successor);
  expect(old.log()).toContain(`running pg_rewind from ${successor}`);
  expect(await old.sql('select from writes')).toEqual([]);
  await noMarks(old);
  expect(readdirSync(old.place.directory).filter((name) => name.startsWith('data'))).toEqual(['data']);
});

test('a copy that broke off with a tablespace and a WAL directory elsewhere is made again at once', async () => {
  const leader = cluster.node(await cluster.waitHealthy());
  const [replica] = cluster.others(leader.name) as [ClusterNode];
  await replica.killAll();
  const [theirs, ours, wal] = ['theirs', 'ours', 'wal'].map((name) => join(cluster.root, name)) as [string, string, string];
  for (const path of [theirs, ours, wal]) {
    mkdirSync(path, { mode: 0o700 });
    chownSync(path, replica.place.owner.uid, replica.place.owner.gid);
  }
  await leader.sql(`create tablespace far location '${theirs}'`);
  await leader.sql(`create table far tablespace far as select g, repeat('x', 500) as x from generate_series(1, 4000) as g`);
  editLocal(replica, {
    postgresql: { basebackup: ['no-sync', { 'max-rate': '16M' }, { waldir: wal }, { 'tablespace-mapping': `${theirs}=${ours}` }] },
  });
  for (const entry of readdirSync(replica.dataDir)) rmSync(join(replica.dataDir, entry), { recursive: true });
  const before = replica.log().length;
  replica.start();
  await cluster.until('the tablespace has begun to come', 40_000, () => readdirSync(ours).length > 0);
  await leader.sql('select pg_terminate_backend(pid) from pg_stat_progress_basebackup');
  expect(await cluster.waitHealthy()).toBe(leader.name);
  const told = replica.log().slice(before);
  expect(told).toContain('pg_basebackup failed and is tried again');
  expect(told).toContain(`${ours} is emptied of what an attempt that failed has left there`);
  expect(told).not.toContain('exists but is not empty');
  expect(await replica.sql('select count(*)::int as n from far')).toEqual([{ n: 4000 }]);
  expect(readlinkSync(join(replica.dataDir, 'pg_wal'))).toBe(wal);
});

test('the remains of a cluster, with lost+found, are named, left alone, and reinitialized at the operator’s request', async () => {
  const leader = await cluster.waitHealthy();
  const [replica] = cluster.others(leader) as [ClusterNode];
  await replica.killAll();
  rmSync(join(replica.dataDir, 'PG_VERSION'));
  rmSync(join(replica.dataDir, 'base'), { recursive: true });
  mkdirSync(join(replica.dataDir, 'lost+found'), { mode: 0o700 });
  const before = replica.log().length;
  replica.start();
  const told = () => replica.log().slice(before);
  await cluster.until('it says what is in the way', 30_000, () => told().includes('is not empty and no cluster'));
  const line = told()
    .split('\n')
    .find((said) => said.includes('is not empty and no cluster'));
  expect(line).toMatch(/it has lost\+found, .* and \d+ more in it/);
  expect(readdirSync(replica.dataDir)).toContain('global');
  const { code, stdout } = await cluster.ctl(['reinit', cluster.scope, replica.name, '--force', '--wait'], 120_000);
  expect(code, stdout).toBe(0);
  expect(await cluster.waitHealthy()).toBe(leader);
  expect(readdirSync(replica.dataDir)).not.toContain('lost+found');
});
