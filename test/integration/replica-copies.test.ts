/**
 * How a replica gets its copy and its WAL, and what the log says when it does not. The cases are
 * methods of the user's, libpq variables set for somebody's psql, a reason that only PostgreSQL
 * knows, and WAL that is gone.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findBinDir } from './support/bin-dir.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { mendAfterFailure } from './support/mend.ts';

const LIBPQ = ['PGPASSWORD=wrong', 'PGHOSTADDR=192.0.2.1', 'PGOPTIONS=-c no_such_setting=1', 'PGSSLMODE=require', 'PGSERVICE=nowhere'];
/** No slot and hardly any WAL kept: a standby that is away for some segments misses them. */
const DYNAMIC = {
  synchronous_mode: 'off',
  postgresql: { use_slots: false, parameters: { wal_keep_size: '16MB', max_wal_size: '32MB', min_wal_size: '32MB' } },
};

let cluster: Cluster;
let leader: ClusterNode;
let replica: ClusterNode;
let backup: string;
let calls: string;

/** What a restore from a repository does: a base backup that somebody made, at some time. */
const restore = (root: string) => `#!/bin/sh
echo "$@" >> ${root}/calls
for word in "$@"; do case $word in --datadir=*) directory=\${word#*=} ;; esac; done
exec cp -a ${root}/backup/. "$directory"
`;

beforeAll(async () => {
  cluster = await startCluster({
    nodes: 2,
    start: false,
    dynamic: DYNAMIC,
    command: (name, regent) => (name === 'node2' ? ['env', ...LIBPQ, ...regent] : regent),
    local: () => ({
      postgresql: { create_replica_methods: ['mine', 'basebackup'], mine: { command: 'sh ../restore.sh', no_leader: true, kept: 7 } },
    }),
  });
  [leader, replica] = cluster.nodes as [ClusterNode, ClusterNode];
  backup = join(cluster.root, 'backup');
  calls = join(cluster.root, 'calls');
  writeFileSync(join(cluster.root, 'restore.sh'), restore(cluster.root));
  chmodSync(join(cluster.root, 'restore.sh'), 0o755);
  chownSync(cluster.root, leader.place.owner.uid, leader.place.owner.gid);
  leader.start();
  await cluster.waitForLeader({ timeoutMs: 90_000 });
  const conninfo = `host=${leader.place.host} port=${leader.place.postgresPort} user=replicator password=replicator`;
  execFileSync(join(findBinDir(), 'pg_basebackup'), ['-D', backup, '-d', conninfo, '-X', 'stream', '-c', 'fast'], {
    cwd: '/',
    uid: leader.place.owner.uid,
    gid: leader.place.owner.gid,
  });
});
afterAll(() => cluster?.close());
mendAfterFailure(() => cluster);

const streams = async () => (await replica.rest('/patroni'))?.body?.['replication_state'] === 'streaming';
const list = async () => (await cluster.ctl(['list'])).stdout;
const postgresLog = () => readFileSync(join(replica.place.directory, 'data.postgres.log'), 'utf8');
const linesWith = (text: string, words: string) => text.split('\n').filter((line) => line.includes(words));

test('the first of the configured methods makes the copy, and it streams whatever libpq’s variables the agent has', async () => {
  replica.start();
  await cluster.until('the replica streams', 60_000, streams);
  expect(readFileSync(calls, 'utf8')).toMatch(/^--no_leader=True --kept=7 --scope=itest --role=replica --datadir=\S+ --connstring=.+\n$/);
  expect(linesWith(replica.log(), 'making a replica from node1 by mine')).toHaveLength(1);
  expect(replica.log()).not.toContain('by basebackup');
  const environment = readFileSync(`/proc/${replica.postmasterPid}/environ`, 'utf8').split('\0');
  expect(environment.filter((variable) => LIBPQ.includes(variable))).toEqual([]);
  expect(environment).toContain('LANG=C.UTF-8');
});

test('a reason that only PostgreSQL knows is in the list and the log within seconds, and over when it streams', async () => {
  const pgpass = join(replica.place.directory, 'pgpass');
  chmodSync(pgpass, 0o644);
  await leader.sql(`select pg_terminate_backend(pid) from pg_stat_replication`);
  const begun = performance.now();
  await cluster.until('the list says why', 30_000, async () =>
    (await list()).includes(' node2 is not streaming from node1: PostgreSQL says: could not connect'),
  );
  console.log(`PostgreSQL's reason was in the list after ${Math.round(performance.now() - begun)} ms`);
  chmodSync(pgpass, 0o600);
  await cluster.until('it streams again', 30_000, streams);
  await cluster.until('nothing is said any more', 30_000, async () => !(await list()).includes('not streaming'));
  expect(linesWith(replica.log(), 'not streaming from node1: PostgreSQL says')).toHaveLength(1);
});

const retryInterval = async () =>
  (await replica.sql<{ value: string }>(`select current_setting('wal_retrieve_retry_interval') as value`))[0]?.value;

const GONE = 'the WAL it needs is gone; reinit: regentctl reinit itest node2';

test('WAL that is gone is reported once, with the remedy, and PostgreSQL does not try ten times a second', async () => {
  await replica.killAll();
  const needed = await leader.sql<{ name: string }>('select pg_walfile_name(pg_current_wal_lsn()) as name');
  await cluster.until('its WAL is recycled', 40_000, async () => {
    await leader.sql('insert into t select generate_series(1, 1000)').catch(() => leader.sql('create table t (i int)'));
    await leader.sql('select pg_switch_wal()');
    await leader.sql('checkpoint');
    const left = await leader.sql(`select from pg_ls_waldir() where name = '${needed[0]!.name}'`);
    return left.length === 0;
  });
  replica.start();
  const begun = performance.now();
  await cluster.until('the list says so', 40_000, async () => (await list()).includes(GONE));
  console.log(`that its WAL is gone was in the list ${Math.round(performance.now() - begun)} ms after the start of the agent`);
  // It is the only replica.
  await cluster.eventually('health says so, once', 30_000, async () => {
    const { code, stdout } = await cluster.ctl(['health']);
    return code === 2 && linesWith(stdout, GONE).length === 1 ? { value: true } : { missing: `${code}: ${stdout}` };
  });

  await cluster.until('it is to try every 5 s', 40_000, async () => (await retryInterval()) === '5s');
  // By PostgreSQL's own times; whoever looks may look late.
  const triedAtMs = () =>
    linesWith(postgresLog(), 'has already been removed').map((line) => Date.parse(`${line.slice(0, 23).replace(' ', 'T')}Z`));
  await cluster.eventually('it tries every 5 s', 40_000, async () => {
    const [before, last] = triedAtMs().slice(-2) as [number, number];
    return last - before > 4000 ? { value: true } : { missing: `${last - before} ms between the last two` };
  });
  expect(linesWith(replica.log(), GONE).filter((line) => line.includes('WARNING'))).toHaveLength(1);

  const { code } = await cluster.ctl(['reinit', 'itest', 'node2', '--force', '--from-leader', '--wait'], 120_000);
  expect(code).toBe(0);
  await cluster.until('it streams', 40_000, streams);
  expect(linesWith(replica.log(), 'not tried: mine')).toHaveLength(1);
  await cluster.until('it tries as often as before', 20_000, async () => (await retryInterval()) === '100ms');
});

test('a method with no_leader makes the copy while no member leads', async () => {
  await replica.terminate();
  await leader.terminate();
  rmSync(replica.dataDir, { recursive: true });
  replica.start();
  await cluster.until('it has a copy that runs', 60_000, async () => (await replica.rest('/patroni'))?.body?.['state'] === 'running');
  expect(replica.log()).toContain('trying to bootstrap (without leader)');
  expect(linesWith(replica.log(), 'making a replica without a leader by mine')).toHaveLength(1);
  expect(linesWith(readFileSync(calls, 'utf8'), '--connstring=')).toHaveLength(2);
});
