/**
 * Configuration files of the shape that other projects' templates make: each starts a node, called
 * as such projects call it (`patroni FILE`). The texts are in test/fixtures/templates.
 */
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { JsonObject } from '../../src/support/json.ts';
import { scriptText, type Template, templateEnv, templateText, type Values } from '../support/templates.ts';
import { postgresOwner } from './support/bare-postgres.ts';
import { findBinDir } from './support/bin-dir.ts';
import { ClusterNode } from './support/cluster-node.ts';
import { type EtcdCluster, startEtcd } from './support/etcd.ts';
import { freePorts } from './support/ports.ts';
import { eventually } from './support/postgres.ts';

const PATRONI = join(import.meta.dirname, '..', '..', 'patroni');
const owner = postgresOwner();
const START_MS = 120_000;

interface Known {
  readonly template: Template;
  /** null: the superuser comes in by the operating system only. */
  readonly password: string | null;
  /** Settings of the server, and columns of pg_database: 16 dropped the setting lc_ctype. */
  readonly shows: Readonly<Record<string, string>>;
  /** Lines of what the template's scripts were called with. */
  readonly called: readonly RegExp[];
}

const DATA = String.raw`\S+/data`;
const KNOWN: readonly Known[] = [
  {
    template: 'spilo',
    password: 'zalando',
    shows: { wal_level: 'replica', max_connections: '60', autovacuum_max_workers: '5', 'bg_mon.listen_address': '::' },
    called: [/^post_init zalandos .*port=\d+/m, /^callback on_start primary spilo$/m],
  },
  {
    template: 'autobase',
    password: 'postgres-pass',
    shows: { max_locks_per_transaction: '512', wal_level: 'logical', work_mem: '6MB', restore_command: 'false %f %p' },
    called: [],
  },
  {
    template: 'pigsty',
    password: null,
    shows: { track_commit_timestamp: 'on', max_wal_senders: '50', datctype: 'C.UTF-8' },
    called: [/^pg-init .*port=\d+/m, /^callback on_start primary pigsty$/m],
  },
  {
    template: 'percona',
    password: 'qaz123',
    shows: { wal_keep_size: '160MB', max_wal_senders: '5', cluster_name: 'percona' },
    called: [],
  },
  {
    template: 'timescale',
    password: 'super-pass',
    shows: { max_prepared_transactions: '150', unix_socket_permissions: '0750', 'timescaledb.passfile': '../.pgpass' },
    called: [new RegExp(`^initdb --encoding=UTF8 --locale=C.UTF-8 --scope=timescale --datadir=${DATA}$`, 'm'), /^post_init /m],
  },
  {
    template: 'debian',
    password: 'postgres-pass',
    shows: { cluster_name: '15-main', log_filename: 'postgresql-15-main.log' },
    called: [/^pg_createcluster --scope=15-main --datadir=\S+\/lib\/15\/main$/m],
  },
];

let root: string;
let etcd: EtcdCluster;
const nodes = new Map<string, { readonly node: ClusterNode; readonly values: Values; readonly env: Record<string, string> }>();

beforeAll(async () => {
  // The launcher builds where the sources are newer; the owner of the nodes may not.
  execFileSync(PATRONI, ['--version'], { timeout: 300_000 });
  root = realpathSync(mkdtempSync(join(tmpdir(), 'regent-tpl-')));
  chownSync(root, owner.uid, owner.gid);
  etcd = await startEtcd({ members: 1 });
}, 320_000);

afterAll(async () => {
  await Promise.all([...nodes.values()].map(({ node }) => node.killAll()));
  for (const { node } of nodes.values()) node.removeTraces();
  await etcd?.close();
  rmSync(root, { recursive: true, force: true });
});

async function layOut(template: Template, name: string): Promise<ClusterNode> {
  const dir = join(root, name);
  const [pg, rest] = (await freePorts(2)) as [number, number];
  const values: Values = { name, dir, bin: findBinDir(), pg, rest, etcd: etcd.endpoints[0]!.replace('http://', '') };
  const env = templateEnv(template, values);
  for (const path of [dir, join(dir, 'archived'), join(dir, 'wal')]) {
    mkdirSync(path, { mode: 0o700 });
    chownSync(path, owner.uid, owner.gid);
  }
  const file = join(dir, 'patroni.yml');
  writeFileSync(file, templateText(template, values));
  writeFileSync(join(dir, 'script.sh'), scriptText(values));
  chmodSync(join(dir, 'script.sh'), 0o755);
  const dataDir = join(dir, template === 'debian' ? 'lib/15/main' : 'data');
  const variables = Object.entries(env).map(([key, value]) => `${key}=${value}`);
  const place = { name, host: '127.0.0.1', postgresPort: pg, restPort: rest, directory: dir, dataDir, owner, launcher: [] };
  const node = new ClusterNode({ ...place, command: ['env', ...variables, PATRONI, file] });
  nodes.set(name, { node, values, env });
  return node;
}

async function untilItIs(node: ClusterNode, path: '/primary' | '/replica'): Promise<void> {
  const answers = async () => (await node.rest(path))?.status === 200;
  await eventually(`${node.name} to answer ${path}`, START_MS, answers).catch((error: unknown) => {
    throw new Error(`${node.name}:\n${logOf(node)}`, { cause: error });
  });
}

/** As the owner, over the socket where there is no password. */
async function show(node: ClusterNode, known: Known): Promise<Record<string, string>> {
  const names = Object.keys(known.shows);
  const values = names.map((name) => (name.startsWith('dat') ? name : `current_setting('${name}')`));
  const text = `SELECT ${values.join(" || '|' || ")} FROM pg_database WHERE datname = current_database()`;
  const { directory, postgresPort } = node.place;
  const host = known.password === null ? directory : '127.0.0.1';
  const args = ['-XAtq', '-h', host, '-p', String(postgresPort), '-U', 'postgres', '-c', text, 'postgres'];
  const env = { ...process.env, ...(known.password !== null && { PGPASSWORD: known.password }) };
  const { stdout } = await promisify(execFile)(join(findBinDir(), 'psql'), args, { ...owner, env, cwd: root });
  return Object.fromEntries(
    stdout
      .trim()
      .split('|')
      .map((value, index) => [names[index]!, value]),
  );
}

/** Some templates have the agent write to a directory. */
const logOf = (node: ClusterNode) => {
  const file = join(node.place.directory, 'log', 'patroni.log');
  return `${existsSync(file) ? readFileSync(file, 'utf8') : ''}${node.log()}`;
};

const called = (node: ClusterNode) => {
  try {
    return readFileSync(join(node.place.directory, 'called'), 'utf8');
  } catch {
    return '';
  }
};

/** The program as the owner calls it. */
async function patroni(args: readonly string[], env: Record<string, string>) {
  const options = { ...owner, cwd: root, env: { PATH: process.env['PATH'], HOME: root, LANG: 'C.UTF-8', ...env } };
  return promisify(execFile)(PATRONI, args, options).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
}

describe('a configuration file of another project', () => {
  test('starts a cluster: each of them, at the same time', { timeout: 300_000 }, async () => {
    for (const { template } of KNOWN) (await layOut(template, template)).start();
    for (const known of KNOWN) {
      const { node } = nodes.get(known.template)!;
      await untilItIs(node, '/primary');
      expect(await show(node, known)).toEqual(known.shows);
      for (const line of known.called)
        await eventually(`${line} of ${node.name} in\n${called(node)}`, 30_000, () => line.test(called(node)));
      expect(logOf(node)).not.toMatch(/ (ERROR|CRITICAL): /);
    }
  });

  test('makes a replica by the method that it names: Debian’s pg_clonecluster', { timeout: 300_000 }, async () => {
    const replica = await layOut('debian', 'debian2');
    replica.start();
    await untilItIs(replica, '/replica');
    expect(called(replica)).toMatch(/^pg_clonecluster --scope=15-main --role=replica --datadir=\S+ --connstring=.*user=replicator/m);
  });
});

describe('a configuration that is made from a running server', () => {
  test('passes --validate-config, and starts the node again', { timeout: 300_000 }, async () => {
    const { node, values } = nodes.get('percona')!;
    const file = join(values.dir, 'generated.yml');
    const env = {
      PATRONI_NAME: 'percona',
      PATRONI_NAMESPACE: 'percona_lab',
      PATRONI_ETCD3_HOSTS: values.etcd,
      PATRONI_RESTAPI_LISTEN: `127.0.0.1:${values.rest}`,
      PATRONI_POSTGRESQL_PGPASS: join(values.dir, 'pgpass1'),
    };
    const dsn = `host=127.0.0.1 port=${values.pg} user=postgres password=qaz123`;
    expect(await patroni(['--generate-config', '--dsn', dsn, file], env)).toMatchObject({ code: 0, stdout: '', stderr: '' });
    const made = parse(readFileSync(file, 'utf8')) as JsonObject;
    expect(made).toMatchObject({
      scope: 'percona',
      bootstrap: { dcs: { postgresql: { use_pg_rewind: true, parameters: { archive_timeout: '10min', max_wal_senders: '5' } } } },
      postgresql: {
        data_dir: node.dataDir,
        bin_dir: findBinDir(),
        authentication: { superuser: { username: 'postgres', password: 'qaz123' } },
        parameters: { archive_command: `cp -f %p ${values.dir}/archived/%f` },
        pg_hba: [
          'local all all peer',
          'host replication replicator 127.0.0.1/32 trust',
          'host replication replicator 0.0.0.0/0 md5',
          'host all all 0.0.0.0/0 md5',
        ],
      },
    });
    expect(await patroni(['--validate-config', '-i', file], {})).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect((await patroni(['--validate-config', file], {})).stderr).toContain(`Port ${values.pg} is already in use.`);
    expect(await node.terminate()).toBe(0);
    const again = new ClusterNode({ ...node.place, command: [PATRONI, file] });
    nodes.set('percona', { node: again, values, env });
    again.start();
    await untilItIs(again, '/primary');
  });

  test('is not made for a user who may not see all settings', async () => {
    const { values } = nodes.get('autobase')!;
    const dsn = `host=127.0.0.1 port=${values.pg} user=replicator password=replicator-pass`;
    const { code, stderr } = await patroni(['--generate-config', '--dsn', dsn], {});
    expect(code).toBe(1);
    expect(stderr).toContain('the user replicator is not a superuser');
  });
});
