/** Taking over what already runs: a server in a distribution's layout, whose superuser the agent cannot log in as, and whose configuration lies elsewhere. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { DebianServer } from './support/debian.ts';

let cluster: Cluster;
let node: ClusterNode;
let server: DebianServer;
let pid: number | null;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 2, start: false, dynamic: { postgresql: { parameters: { max_connections: 100 } } } });
  node = cluster.node('node1');
  server = new DebianServer(node);
  server.create();
  await server.start();
  pid = node.postmasterPid;
});
afterAll(() => cluster.close());

const KEPT = ['shared_buffers', 'work_mem', 'maintenance_work_mem', 'external_pid_file'];
const kept = async () => {
  const rows = await node.sql<{ name: string; value: string }>(
    `SELECT name, current_setting(name) AS value FROM pg_settings WHERE name = ANY('{${KEPT}}') ORDER BY name`,
  );
  return Object.fromEntries(rows.map((row) => [row.name, row.value]));
};

test('a server that refuses the agent is left as it is, writable, and the agent says what it needs', async () => {
  const before = readFileSync(join(server.etc, 'pg_hba.conf'), 'utf8');
  node.start();
  await cluster.until('the agent to say that it is refused', 20_000, () => node.log().includes('has not been taken over'));
  await server.sql('CREATE TABLE theirs AS SELECT 1 AS n');
  expect(node.log()).toContain(`ALTER ROLE "postgres" PASSWORD`);
  expect(await cluster.key('initialize')).toBe(null);
  expect(await cluster.key('leader')).toBe(null);
  expect((await node.rest('/primary'))?.status).toBe(503);
  expect((await node.rest('/replica'))?.status).toBe(503);
  expect(readFileSync(join(server.etc, 'pg_hba.conf'), 'utf8')).toBe(before);
  expect(existsSync(join(node.dataDir, 'pg_hba.conf'))).toBe(false);
  // The end of the agent is not the end of a server that it never had.
  await endAgent();
  await server.sql('INSERT INTO theirs VALUES (2)');
  expect(node.postmasterPid).toBe(pid);
});

async function endAgent(): Promise<void> {
  const agent = node.agentPid!;
  process.kill(agent, 'SIGTERM');
  await cluster.until('the agent to end', 20_000, () => node.agentPid === null);
}

test('let in by the socket, as the user it runs as, it takes the server over where it runs', async () => {
  await server.sql(`CREATE ROLE replicator LOGIN REPLICATION PASSWORD 'replicator'`);
  await server.sql(`CREATE ROLE rewinder LOGIN PASSWORD 'rewinder'`);
  node.start();
  await cluster.until('the agent to be refused again', 20_000, () => node.log().split('has not been taken over').length > 2);
  server.letIn('local all postgres peer', 'host all postgres 127.0.0.1/32 scram-sha-256');
  await server.sql('SELECT pg_reload_conf()');
  expect(await cluster.waitForLeader()).toBe('node1');
  await cluster.until('the configuration to be taken over', 10_000, () => existsSync(join(node.dataDir, 'postgresql.conf')));
  expect(node.postmasterPid).toBe(pid);
  expect((await server.sql<{ n: string }>('SELECT count(*) AS n FROM theirs'))[0]?.n).toBe('2');
  expect(readFileSync(join(server.etc, 'pg_hba.conf'), 'utf8')).toContain('peer');
});

test('its own configuration outlives a restart, though nobody said where it lies', async () => {
  await server.sql(`ALTER ROLE postgres PASSWORD 'postgres'`);
  const restarted = await cluster.ctl(['restart', cluster.scope, 'node1', '--force']);
  expect(restarted.stdout).toContain('Success');
  expect(node.postmasterPid).not.toBe(pid);
  // The agent's parameters win over the server's own; the rest is as it was.
  expect(await kept()).toEqual({
    external_pid_file: server.pidFile,
    maintenance_work_mem: '17MB',
    shared_buffers: '16MB',
    work_mem: '3MB',
  });
});

test('a clone has places of its own, and none of what its source includes', async () => {
  const other = cluster.node('node2');
  other.start();
  await cluster.waitHealthy();
  const rows = await other.sql<{ name: string; setting: string }>(
    `SELECT name, setting FROM pg_settings WHERE name IN ('data_directory', 'hba_file', 'ident_file', 'external_pid_file', 'work_mem')`,
  );
  expect(Object.fromEntries(rows.map((row) => [row.name, row.setting]))).toEqual({
    data_directory: other.dataDir,
    hba_file: join(other.dataDir, 'pg_hba.conf'),
    ident_file: join(other.dataDir, 'pg_ident.conf'),
    external_pid_file: '',
    work_mem: '3072',
  });
});

test('the base configuration of the clone is its own from then on, and outlives another clone', async () => {
  const other = cluster.node('node2');
  const base = join(other.dataDir, 'postgresql.base.conf');
  writeFileSync(base, `${readFileSync(base, 'utf8')}\nwork_mem = 5MB\n`);
  const done = await cluster.ctl(['reinit', cluster.scope, 'node2', '--force', '--wait'], 60_000);
  expect(done.code).toBe(0);
  await cluster.waitHealthy();
  const [row] = await other.sql<{ work_mem: string }>('SHOW work_mem');
  expect(row?.work_mem).toBe('5MB');
});
