/**
 * Taking over what already runs: a server in a distribution's layout, whose superuser the agent
 * cannot log in as, and whose configuration lies elsewhere.
 */
import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectLocal } from '../../src/adapters/postgres/heartbeat.ts';
import { postgresOwner } from './support/bare-postgres.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { DebianServer } from './support/debian.ts';
import { freePort } from './support/ports.ts';
import { adapterFor, settingsFor, temporaryHome } from './support/postgres.ts';

let cluster: Cluster;
let node: ClusterNode;
let server: DebianServer;
let pid: number | null;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 2, start: false, dynamic: { postgresql: { parameters: { max_connections: 100 } } } });
  node = cluster.node('node1');
  server = new DebianServer({ directory: node.place.directory, dataDir: node.dataDir, port: node.place.postgresPort });
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

test('a server that refuses the agent is left as it is, writable, and the agent logs what it needs', async () => {
  const before = readFileSync(join(server.etc, 'pg_hba.conf'), 'utf8');
  node.start();
  await cluster.until('the agent to say that it is refused, and what it needs', 40_000, () =>
    ['has not been taken over', 'ALTER ROLE "postgres" PASSWORD'].every((words) => node.log().includes(words)),
  );
  await server.sql('CREATE TABLE theirs AS SELECT 1 AS n');
  expect(await cluster.key('initialize')).toBe(null);
  expect(await cluster.key('leader')).toBe(null);
  expect((await node.answer('/primary')).status).toBe(503);
  expect((await node.answer('/replica')).status).toBe(503);
  expect(readFileSync(join(server.etc, 'pg_hba.conf'), 'utf8')).toBe(before);
  expect(existsSync(join(node.dataDir, 'pg_hba.conf'))).toBe(false);
  // The end of the agent is not the end of a server that it never had.
  await endAgent();
  await server.sql('INSERT INTO theirs VALUES (2)');
  expect(node.postmasterPid).toBe(pid);
});

/** The user the agent runs as. */
function agentUser(): string {
  const { uid } = postgresOwner();
  const entry = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((line) => line.split(':')[2] === String(uid));
  return entry!.split(':')[0]!;
}

async function endAgent(): Promise<void> {
  const agent = node.agentPid!;
  process.kill(agent, 'SIGTERM');
  await cluster.until('the agent to end', 40_000, () => node.agentPid === null);
}

test('let in by the socket, as the user it runs as, it takes the server over while it runs', async () => {
  await server.sql(`CREATE ROLE replicator LOGIN REPLICATION PASSWORD 'replicator'`);
  await server.sql(`CREATE ROLE rewinder LOGIN PASSWORD 'rewinder'`);
  node.start();
  await cluster.until('the agent to be refused again', 40_000, () => node.log().split('has not been taken over').length > 2);
  writeFileSync(join(server.etc, 'pg_ident.conf'), `agents ${agentUser()} postgres\n`);
  server.letIn('local all postgres peer map=agents', 'host all postgres 127.0.0.1/32 scram-sha-256');
  await server.sql('SELECT pg_reload_conf()');
  expect(await cluster.waitForLeader()).toBe('node1');
  await cluster.until('the configuration to be taken over', 30_000, () => existsSync(join(node.dataDir, 'postgresql.conf')));
  expect(node.postmasterPid).toBe(pid);
  const reason = async () => JSON.stringify((await node.rest('/patroni'))?.body?.['pending_restart_reason'] ?? {});
  await cluster.until('a restart to be asked for, as it reads the old files', 30_000, async () => (await reason()).includes('config_file'));
  expect((await server.sql<{ n: string }>('SELECT count(*) AS n FROM theirs'))[0]?.n).toBe('2');
  expect(readFileSync(join(server.etc, 'pg_hba.conf'), 'utf8')).toContain('peer');
  // Regent was given no lines for it.
  expect(readFileSync(join(node.dataDir, 'pg_ident.conf'), 'utf8')).toContain('agents');
});

test('its own configuration survives a restart, though no setting says where it lies', async () => {
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

test('a clone has places of its own, and none of its source’s includes', async () => {
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
    external_pid_file: 'pgsql_tmp.regent.pid',
    work_mem: '3072',
  });
});

test('the base configuration of the clone is its own from then on, and survives another clone', async () => {
  const other = cluster.node('node2');
  const base = join(other.dataDir, 'postgresql.base.conf');
  writeFileSync(base, `${readFileSync(base, 'utf8')}\nwork_mem = 5MB\n`);
  const done = await cluster.ctl(['reinit', cluster.scope, 'node2', '--force', '--wait'], 120_000);
  expect(done.code).toBe(0);
  await cluster.waitHealthy();
  const [row] = await other.sql<{ work_mem: string }>('SHOW work_mem');
  expect(row?.work_mem).toBe('5MB');
});

describe('one server and its files', () => {
  const PRIMARY = { kind: 'primary' } as const;
  const BOUND = { timeoutMs: 30_000 };
  const SECRET = { username: 'postgres', password: 'nobody-was-told', options: {} };
  let home: Awaited<ReturnType<typeof temporaryHome>>;
  let second: Awaited<ReturnType<typeof temporaryHome>>;
  let alone: DebianServer;

  beforeAll(async () => {
    home = await temporaryHome();
    second = await temporaryHome();
    alone = new DebianServer({ directory: home.path, dataDir: join(home.path, 'data'), port: await freePort() });
    alone.create();
    await alone.start();
  });
  afterAll(async () => {
    await home.remove();
    await second.remove();
  });

  const settingsOf = (more: Parameters<typeof settingsFor>[0]['postgresql'] = {}) =>
    settingsFor({ home: home.path, name: 'data', port: alone.place.port, postgresql: { superuser: SECRET, ...more } });

  test('in a directory that is named are copied before they are overwritten, and go on counting', async () => {
    const adapter = adapterFor(settingsOf({ configDir: alone.etc }));
    const fileOf = (name: string) => readFileSync(join(alone.etc, name), 'utf8');
    const [hba, conf] = [fileOf('pg_hba.conf'), fileOf('postgresql.conf')];
    expect(await adapter.observe({ timeoutMs: 10_000 })).toMatchObject({ unmanaged: true, sql: { inRecovery: false } });
    await adapter.apply(PRIMARY, BOUND);
    expect(await adapter.observe({ timeoutMs: 10_000 })).not.toHaveProperty('unmanaged');
    expect([fileOf('pg_hba.conf.before-regent'), fileOf('postgresql.conf.before-regent')]).toEqual([hba, conf]);
    expect(fileOf('pg_hba.conf')).not.toBe(hba);
    await adapter.stop('fast', BOUND);
    await adapter.start(PRIMARY, BOUND);
    const rows = await alone.sql<{ value: string }>(
      `SELECT current_setting(unnest('{shared_buffers,work_mem,maintenance_work_mem}'::text[])) AS value`,
    );
    expect(rows.map(({ value }) => value)).toEqual(['20MB', '3MB', '17MB']);
    await adapter.stop('fast', BOUND);
    await adapter.close();
  });

  test('of a server that is down and was started on others are not ignored: the log has the line to write', async () => {
    const down = new DebianServer({ directory: second.path, dataDir: join(second.path, 'data'), port: await freePort() });
    down.create();
    await down.start();
    const settings = settingsFor({ home: second.path, name: 'data', port: down.place.port });
    const adapter = adapterFor(settings);
    await adapter.observe({ timeoutMs: 10_000 });
    await adapter.stop('fast', BOUND);
    await expect(adapter.start({ kind: 'standby', source: null }, BOUND)).rejects.toMatchObject({
      code: 'CONFIG_ELSEWHERE',
      mend: expect.stringContaining(`postgresql.config_dir: ${down.etc}`),
    });
    expect(existsSync(join(down.place.dataDir, 'postgresql.conf'))).toBe(false);
    await adapter.close();
  });

  test('a program that goes to another directory is ended, and the server it opened is closed in good order', async () => {
    const wrapper = join(home.path, 'bin');
    mkdirSync(wrapper);
    const real = settingsOf().postgresql.binDir;
    writeFileSync(
      join(wrapper, 'postgres'),
      `#!/bin/sh\ncase "$*" in *data_directory*) exec ${real}/postgres -D ${second.path}/data -c config_file=${second.path}/etc/15/main/postgresql.conf;; *) exec ${real}/postgres "$@";; esac\n`,
    );
    chmodSync(join(wrapper, 'postgres'), 0o755);
    symlinkSync(join(real, 'pg_controldata'), join(wrapper, 'pg_controldata'));
    const adapter = adapterFor(settingsOf({ configDir: alone.etc, binDir: wrapper }));
    await expect(adapter.start(PRIMARY, BOUND)).rejects.toMatchObject({ code: 'PG_STARTED_ELSEWHERE' });
    expect(existsSync(join(second.path, 'data', 'postmaster.pid'))).toBe(false);
    await adapter.close();
    const other = adapterFor(settingsFor({ home: second.path, name: 'data', port: alone.place.port }));
    expect(await other.observe({ timeoutMs: 10_000 })).toMatchObject({ state: 'stopped', control: { state: 'shut down' } });
    await other.close();
  });

  test('our server has our data directory, whatever a file says; another server in its place is not taken for it', async () => {
    const adapter = adapterFor(settingsOf({ configDir: alone.etc }));
    // As a clone of a node in this layout once had it: it outranks -D.
    appendFileSync(join(alone.etc, 'postgresql.base.conf'), `\ndata_directory = '${join(second.path, 'data')}'\n`);
    await adapter.start(PRIMARY, BOUND);
    await adapter.close();
    expect(await alone.sql('SHOW data_directory')).toEqual([{ data_directory: alone.place.dataDir }]);
    // Its pid file says where it listens; that of the other node names this one's port.
    const { port } = alone.place;
    const other = settingsFor({ home: second.path, name: 'data', port, postgresql: { superuser: SECRET, pgHba: null } });
    await expect(connectLocal(other, { applicationName: 'test', connectTimeoutMs: 5000, queryTimeoutMs: 5000 })).rejects.toMatchObject({
      code: 'PG_ANOTHER_SERVER',
      message: expect.stringContaining(alone.place.dataDir),
    });
  });
});
