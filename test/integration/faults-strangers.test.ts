/**
 * A server that streams under a member's name without being it, names that PostgreSQL cannot carry,
 * and slots that hold what nobody advances.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { findBinDir } from './support/bin-dir.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { freePort } from './support/ports.ts';

let cluster: Cluster | null = null;
let stranger: ChildProcess | null = null;
const frozen = new Set<number>();

afterEach(async () => {
  for (const pid of frozen) process.kill(pid, 'SIGCONT');
  frozen.clear();
  await endStranger();
  await cluster?.close();
  cluster = null;
});

async function endStranger(): Promise<void> {
  const server = stranger;
  stranger = null;
  if (server === null || server.exitCode !== null || server.signalCode !== null) return;
  const gone = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGQUIT');
  await gone;
}

/**
 * A base backup of the leader, started by hand as a standby that calls itself like a member. No
 * agent, no slot.
 */
async function startStranger(of: Cluster, leader: ClusterNode, name: string): Promise<void> {
  const { owner, host, postgresPort } = leader.place;
  const dir = join(of.root, 'stranger');
  const login = ['-h', host, '-p', String(postgresPort), '-U', 'replicator'];
  const env = { PATH: process.env['PATH'], LANG: 'C.UTF-8', PGPASSWORD: 'replicator' };
  execFileSync(join(findBinDir(), 'pg_basebackup'), [...login, '-D', dir, '-c', 'fast', '-N'], { ...owner, env, cwd: of.root });
  const source = `host=${host} port=${postgresPort} user=replicator password=replicator application_name=${name}`;
  const settings = [
    `primary_conninfo = '${source}'`,
    `port = ${await freePort()}`,
    `unix_socket_directories = '${of.root}'`,
    "listen_addresses = ''",
    'wal_receiver_status_interval = 1s',
    'wal_retrieve_retry_interval = 200ms',
    'max_connections = 100',
    'max_wal_senders = 20',
    'max_worker_processes = 20',
  ];
  writeFileSync(join(dir, 'own.conf'), settings.join('\n'));
  writeFileSync(join(dir, 'standby.signal'), '');
  stranger = spawn(join(findBinDir(), 'postgres'), ['-D', dir, '-c', `config_file=${join(dir, 'own.conf')}`], {
    ...owner,
    env,
    cwd: of.root,
    stdio: 'ignore',
  });
}

interface SenderRow extends Record<string, unknown> {
  readonly pid: number;
  readonly address: string | null;
  readonly flushed: boolean;
}

/** Walsenders of that name, but those that stream for the member's own slot. */
const strangersOn = (leader: ClusterNode, name: string) =>
  leader.sql<SenderRow>(`select pid, host(client_addr) as address, flush_lsn >= pg_current_wal_flush_lsn() as flushed
    from pg_stat_replication where application_name = '${name}' and state = 'streaming'
    and pid not in (select active_pid from pg_replication_slots where active_pid is not null)`);

const syncNames = async (leader: ClusterNode) => {
  const [row] = await leader.sql<{ names: string }>("select current_setting('synchronous_standby_names') as names");
  return row?.names ?? '';
};

test('a stand-alone standby under a member’s name is noticed, named, not counted on, and ended where the settings say so', async () => {
  cluster = await startCluster();
  const of = cluster;
  const leader = of.node(await of.waitHealthy());
  const [victim, other] = of.others(leader.name) as [ClusterNode, ClusterNode];
  await startStranger(of, leader, victim.name);
  const { pid, address } = await of.eventually('the stranger streams', 40_000, async () => {
    const [row] = await strangersOn(leader, victim.name);
    return row === undefined ? { missing: 'it does not' } : { value: row };
  });

  await of.until('its name has left the synchronous set', 20_000, async () => (await syncNames(leader)) === `ANY 1 (${other.name})`);
  const told = await of.eventually('the leader tells of it', 20_000, async () => {
    const { strangers } = ((await leader.rest('/patroni'))?.body?.['regent'] ?? {}) as { readonly strangers?: readonly string[] };
    return strangers === undefined ? { missing: 'it tells of none' } : { value: strangers };
  });
  expect(told).toHaveLength(1);
  expect(told[0]).toContain(`under the name of ${victim.name}: walsender ${pid}, from ${address}`);
  await of.eventually('health tells of it', 20_000, async () => {
    const { code, stdout } = await of.ctl(['health', '--no-haproxy']);
    return code === 2 && stdout.includes(`walsender ${pid}, from ${address}`) ? { value: true } : { missing: stdout };
  });

  // Only the stranger confirms from now on.
  for (const node of [victim, other]) {
    const receiver = node.childOfPostmaster('walreceiver');
    frozen.add(receiver);
    await node.freezePart(receiver);
  }
  const client = await leader.connect(20_000);
  let isAcknowledged = false;
  const insert = client.query('insert into writes values (1)').then(() => {
    isAcknowledged = true;
  });
  await of.until('the stranger has the row', 20_000, async () => (await strangersOn(leader, victim.name)).some(({ flushed }) => flushed));
  await delay(1500);
  expect(isAcknowledged).toBe(false);
  for (const receiver of frozen) process.kill(receiver, 'SIGCONT');
  frozen.clear();
  await insert;
  await client.end();

  await of.configure({ terminate_strangers: true });
  expect(leader.log().split(`walsender ${pid}, from`), 'said once').toHaveLength(2);
  await of.until('its walsender is ended', 30_000, async () => (await strangersOn(leader, victim.name)).every((row) => row.pid !== pid));
  await of.until(
    'the members stream',
    30_000,
    async () => (await leader.sql('select 1 from pg_replication_slots where active')).length === 2,
  );
});

test('names that PostgreSQL cuts become synchronous; slots that hold an xmin, are lost or left behind do not stay', async () => {
  const names: Readonly<Record<string, string>> = { node1: 'db1', node2: 'n'.repeat(66).concat('-two'), node3: 'größe-drei' };
  cluster = await startCluster({
    start: false,
    local: (name) => ({ name: names[name]! }),
    dynamic: {
      postgresql: {
        parameters: { wal_level: 'logical', hot_standby_feedback: 'on', wal_keep_size: '16MB', wal_receiver_status_interval: '1s' },
      },
    },
  });
  const of = cluster;
  for (const node of of.nodes) node.start();
  const old = of.node(await of.waitForLeader({ timeoutMs: 90_000 }));
  const standbys = of.others(old.name);
  const called = (nodes: readonly ClusterNode[]) => nodes.map(({ name }) => names[name]!).sort();
  const isSynchronous = (leader: ClusterNode, nodes: readonly ClusterNode[]) =>
    of.until(`${called(nodes).join(', ')} confirm commits`, 40_000, async () => {
      const sync = JSON.parse((await of.key('sync')) ?? '{}') as { sync_standby?: string };
      const rows = await leader.sql("select 1 from pg_stat_replication where sync_state = 'quorum'");
      return rows.length === nodes.length && (sync.sync_standby ?? '').split(',').sort().join() === called(nodes).join();
    });
  await isSynchronous(old, standbys);
  await old.sql('create table things (id int)');

  const slots = (node: ClusterNode, where: string) =>
    node.sql<{ name: string }>(`select slot_name as name from pg_replication_slots where ${where}`);
  await of.until('feedback holds an xmin in both slots', 30_000, async () => (await slots(old, 'xmin is not null')).length === 2);
  await old.sql("select pg_create_logical_replication_slot('by_hand', 'pgoutput')");
  const asked = await old.rest('/switchover', { method: 'POST', body: { leader: names[old.name] }, timeoutMs: 30_000 });
  expect(asked?.status, old.tail(4)).toBe(200);
  const successor = of.node(await of.waitForLeader({ not: old.name }));
  await of.until('no slot on the former primary holds what nobody advances', 40_000, async () => {
    const all = await slots(old, 'true').catch(() => []);
    const held = await slots(old, "xmin is not null or slot_type = 'logical'").catch(() => null);
    return held?.length === 0 && all.length === 2;
  });
  await isSynchronous(successor, of.others(successor.name));

  const lost = of.others(successor.name, old.name)[0]!;
  await of.configure({ postgresql: { parameters: { max_slot_wal_keep_size: '16MB' } } });
  await lost.killAll();
  const slot = await of.eventually('its slot is free', 30_000, async () => {
    const [free, ...more] = await slots(successor, 'not active');
    return free !== undefined && more.length === 0 ? { value: free } : { missing: `${more.length + 1} are free, or none` };
  });
  const [before] = await successor.sql<{ lsn: string }>('select pg_current_wal_lsn() as lsn');
  for (let i = 0; i < 6; i++) await successor.sql('insert into things values (1); select pg_switch_wal()', 10_000);
  await successor.sql('checkpoint', 10_000);
  await of.until('the slot that was lost is made again, and keeps WAL', 40_000, async () => {
    const where = `slot_name = '${slot.name}' and wal_status <> 'lost' and restart_lsn > '${before!.lsn}'`;
    return (await slots(successor, where)).length === 1;
  });
});
