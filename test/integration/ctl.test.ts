/** regentctl as a process against a real etcd, and its queries against a real PostgreSQL. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as esbuild from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSystemClock } from '../../src/adapters/clock/system.ts';
import { createEtcdDcs } from '../../src/adapters/etcd/store.ts';
import { identifyServer } from '../../src/ctl/identify.ts';
import type { Dcs } from '../../src/ports/dcs.ts';
import type { Postgres } from '../../src/ports/postgres.ts';
import { amend, ctl, type RunResult, tutorialCluster } from '../fixtures/ctl.ts';
import { type EtcdCluster, startEtcd } from './support/etcd.ts';
import { freePort } from './support/ports.ts';
import { adapterFor, recordingLog, settingsFor, sql, temporaryHome } from './support/postgres.ts';

const TIMEOUT = { timeoutMs: 10_000 };
let directory: string;
let etcd: EtcdCluster;
let dcs: Dcs;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'regentctl-'));
  mkdirSync(join(directory, 'dist'));
  writeFileSync(join(directory, 'dist', 'package.json'), '{"type":"module"}');
  const [cluster] = await Promise.all([
    startEtcd({ members: 1 }),
    esbuild.build({
      entryPoints: { regentctl: join(import.meta.dirname, '../../src/ctl/main.ts') },
      outdir: join(directory, 'dist'),
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      external: ['pg-native'],
      banner: { js: "import { createRequire as r } from 'node:module'; const require = r(import.meta.url);" },
      logLevel: 'error',
    }),
  ]);
  etcd = cluster;
  const file = `scope: demo\netcd3:\n  hosts: ${etcd.endpoints.map((url) => url.replace('http://', '')).join(',')}\n`;
  writeFileSync(join(directory, 'ctl.yml'), file);
  const login = { username: null, password: null, cacert: null, cert: null, key: null, srv: null, srvSuffix: null };
  const settings = { endpoints: etcd.endpoints, discover: false, ...login };
  dcs = createEtcdDcs({ settings, scope: 'demo', namespace: 'service', log: recordingLog(), clock: createSystemClock() });
  await dcs.writeInitialize('7234567890123456789', false, TIMEOUT);
  await dcs.writeConfig({ ttl: 30, postgresql: { parameters: { max_connections: 100 } } }, null, TIMEOUT);
  const lease = await dcs.grantLease(600, TIMEOUT);
  await dcs.acquireLeader('pg1', lease, TIMEOUT);
  const url = (port: number) => ({ conn_url: `postgres://127.0.0.1:${port}/postgres`, api_url: 'http://127.0.0.1:1/patroni' });
  await dcs.putMember('pg1', { ...url(5432), state: 'running', role: 'primary', timeline: 1 }, lease, TIMEOUT);
  await dcs.putMember(
    'pg2',
    { ...url(5433), state: 'running', role: 'replica', replication_state: 'streaming', timeline: 1 },
    lease,
    TIMEOUT,
  );
});

afterAll(async () => {
  dcs?.close();
  await etcd?.close();
  rmSync(directory, { recursive: true, force: true });
});

function start(...words: string[]): ChildProcess {
  const env = { PATH: process.env['PATH'], HOME: directory, TZ: 'UTC', REGENT_PROGRAM: 'patronictl' };
  return spawn(process.execPath, [join(directory, 'dist', 'regentctl.js'), '-c', join(directory, 'ctl.yml'), ...words], { env });
}

/** `until`: SIGINT once the output holds it. */
function finished(child: ChildProcess, input = '', until: string | null = null): Promise<RunResult> {
  let out = '';
  let err = '';
  child.stdout?.on('data', (chunk) => {
    out += String(chunk);
    if (until !== null && out.includes(until)) child.kill('SIGINT');
  });
  child.stderr?.on('data', (chunk) => {
    err += String(chunk);
  });
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(input);
  const deadline = setTimeout(() => child.kill('SIGKILL'), 60_000);
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearTimeout(deadline);
      resolve({ code: code ?? -1, out, err });
    });
  });
}

test('list from a real etcd', async () => {
  expect(await finished(start('list'))).toEqual({
    code: 0,
    err: '',
    out: `+ Cluster: demo (7234567890123456789) ----------+----+-------------+-----+------------+-----+
| Member | Host           | Role    | State     | TL | Receive LSN | Lag | Replay LSN | Lag |
+--------+----------------+---------+-----------+----+-------------+-----+------------+-----+
| pg1    | 127.0.0.1:5432 | Leader  | running   |  1 |             |     |            |     |
| pg2    | 127.0.0.1:5433 | Replica | streaming |  1 |     unknown |     |    unknown |     |
+--------+----------------+---------+-----------+----+-------------+-----+------------+-----+
`,
  });
});

test('-W ends with 0 on Ctrl-C, a prompt with Aborted!', async () => {
  const watch = await finished(start('list', '-W'), '', '| pg2 ');
  expect([watch.code, watch.err]).toEqual([0, '']);
  const child = start('remove', 'demo');
  let shown = '';
  child.stdout?.on('data', (chunk) => {
    shown += String(chunk);
    if (shown.includes('Please confirm the cluster name to remove: ')) child.kill('SIGINT');
  });
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
  let err = '';
  child.stderr?.on('data', (chunk) => {
    err += String(chunk);
  });
  expect([await closed, err]).toEqual([1, 'Aborted!\n']);
});

test('edit-config writes what show-config shows', async () => {
  const { code, out } = await finished(start('edit-config', '-s', 'ttl=20', '-p', 'work_mem=8MB'), 'y\n');
  expect([code, out.split('\n').at(-2)]).toEqual([0, 'Apply these changes? [y/N]: Configuration changed']);
  const shown = await finished(start('show-config'));
  expect(shown.out).toBe('postgresql:\n  parameters:\n    max_connections: 100\n    work_mem: 8MB\nttl: 20\n\n');
});

test('a reader that goes away early is no error', async () => {
  const child = start('list', '-f', 'json');
  child.stdout?.destroy();
  const { code, err } = await finished(child);
  expect([code, err]).toEqual([0, '']);
});

test('health: a cluster whose members do not answer', async () => {
  const { code, out, err } = await finished(start('health', '--no-haproxy'));
  expect([code, err]).toEqual([2, '']);
  expect(out).toMatch(/\| http:\/\/127\.0\.0\.1:\d+ \| healthy \| Leader \| 3\.\d+\.\d+/);
  expect(out).toContain('critical: no member answers\n');
});

test('an etcd that is gone: the error names the place and the remedy within seconds; -W goes on', async () => {
  const watch = start('list', '-W');
  let told = '';
  const heard = (text: string) => expect.poll(() => told, { timeout: 40_000, interval: 50 }).toContain(text);
  watch.stdout?.once('data', (chunk) => {
    told += String(chunk);
  });
  watch.stderr?.on('data', (chunk) => {
    told += String(chunk);
  });
  const watched = finished(watch);
  await heard('| pg2 ');
  await etcd.members[0]!.kill();
  try {
    const started = performance.now();
    const { code, out, err } = await finished(start('list'));
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(/^Error: .*127\.0\.0\.1:\d+.*\n.*\n$/);
    expect(err).not.toMatch(/\n\s+at /);
    expect(performance.now() - started).toBeLessThan(40_000);
    await heard('etcd cannot be read since ');
  } finally {
    await etcd.members[0]!.restart();
  }
  await heard('etcd can be read again');
  watch.kill('SIGINT');
  expect((await watched).code).toBe(0);
});

test('query: rows as psycopg prints them, files, roles, mistakes', async () => {
  const home = await temporaryHome();
  const settings = settingsFor({ home: home.path, name: 'patroni1', port: await freePort() });
  const postgres: Postgres = adapterFor(settings);
  try {
    await postgres.bootstrap({ timeoutMs: 60_000 });
    await sql(settings, 'CREATE TABLE t AS SELECT 1 AS id, NULL::text AS nothing, true AS yes, 2.50::numeric AS n, $$a	b$$ AS text');
    const store = tutorialCluster();
    amend(store, 'demo', 'patroni1', { conn_url: `postgres://127.0.0.1:${settings.postgresql.port}/postgres` });
    const { username, password } = settings.postgresql.superuser;
    const env = { PATRONI_SUPERUSER_USERNAME: username, PATRONI_SUPERUSER_PASSWORD: password ?? '' };
    const query = (...words: string[]) => ctl(['query', ...words], { etcd: store, env });

    expect((await query('-c', 'SELECT * FROM t')).out).toBe('id\tnothing\tyes\tn\ttext\n1\tNone\tTrue\t2.50\ta\tb\n');
    expect((await query('-c', 'SELECT id, yes FROM t', '--format', 'json')).out).toBe('[{"id": 1, "yes": true}]\n');
    expect((await query('-c', 'SELECT id, n FROM t', '--format', 'pretty')).out).toBe(
      '+----+------+\n| id | n    |\n+----+------+\n| 1  | 2.50 |\n+----+------+\n',
    );
    expect((await query('-c', "SELECT current_setting('application_name') AS a", '-d', 'template1', '--delimiter', '|')).out).toBe(
      'a\nPatroni ctl\n',
    );
    const file = join(home.path, 'q.sql');
    writeFileSync(file, 'SELECT 1 AS a; SELECT 9223372036854775807 AS b');
    expect((await query('-f', file)).out).toBe('b\n9223372036854775807\n');

    const failed = await query('-c', 'SELECT 1/0');
    expect([failed.code, failed.out]).toEqual([
      1,
      expect.stringMatching(/^[-\d]{10} [:\d]{8}\tERROR, SQLSTATE: 22012, division by zero\n$/),
    ]);
    const stranger = await ctl(['query', '-c', 'SELECT 1'], { etcd: store, env: { PGUSER: 'nobody', PGPASSWORD: 'x' } });
    expect([stranger.code, stranger.out]).toEqual([
      1,
      expect.stringMatching(/SQLSTATE: 28.*"nobody".*, as user nobody: name another with -U, or set PGUSER\n$/),
    ]);
    // What demote-cluster asks the server that is to be followed.
    const { superuser } = settings.postgresql;
    const door = { host: '127.0.0.1', port: settings.postgresql.port };
    const id = (await query('-c', 'SELECT system_identifier::text AS id FROM pg_control_system()')).out.split('\n')[1];
    expect(await identifyServer(door, superuser, 5000)).toEqual({ systemIdentifier: id });
    expect(await identifyServer(door, { ...superuser, password: 'wrong' }, 5000)).toEqual({
      unknown: expect.stringContaining('password authentication failed'),
    });
    expect((await query('-c', 'SELECT 1', '-r', 'primary')).out).toBe('?column?\n1\n');
    amend(store, 'demo', 'patroni2', { conn_url: `postgres://127.0.0.1:${settings.postgresql.port}/postgres` });
    expect((await query('-c', 'SELECT 1', '-r', 'replica')).out).toMatch(/\tNo connection to role 'replica' is available\n$/);
    const asked = await ctl(['query', '-c', 'SELECT 1 AS a', '--password', '-U', username], { etcd: store, input: `${password}\n` });
    expect(asked.out).toBe('Password: a\n1\n');
    const wrong = await ctl(['query', '-c', 'SELECT 1 AS a', '--password', '-U', username], { etcd: store, input: 'wrong\n' });
    expect(wrong.out).toMatch(/ERROR, SQLSTATE: 28P01, password authentication failed for user .*: name another with -U, or set PGUSER\n$/);
    const none = await ctl(['query', '-c', 'SELECT 1 AS a', '-U', username], { etcd: store });
    expect(none.out).toMatch(/SQLSTATE: the server asks for a password: set PGPASSWORD, or use --password\n$/);

    await postgres.stop('fast', { timeoutMs: 20_000 });
    expect((await query('-c', 'SELECT 1')).out).toMatch(/\tERROR, SQLSTATE: connect ECONNREFUSED 127\.0\.0\.1:\d+\n$/);
  } finally {
    await postgres.close();
    await home.remove();
  }
});
