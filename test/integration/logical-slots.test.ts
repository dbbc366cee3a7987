/** Permanent logical slots: a consumer goes on after a switchover and a failover, without a gap. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { findBinDir } from './support/bin-dir.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';

let cluster: Cluster | null = null;
let consumer: ChildProcess | null = null;

afterEach(async () => {
  await end(consumer);
  await cluster?.close();
  cluster = null;
});

async function end(child: ChildProcess | null): Promise<void> {
  consumer = null;
  if (child === null || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGINT');
  await gone;
}

/** Reads the slot into the file, from where it stands, until it is ended. */
function consume(from: ClusterNode, file: string): ChildProcess {
  const { owner, host, postgresPort } = from.place;
  const login = ['-h', host, '-p', String(postgresPort), '-U', 'postgres', '-d', 'postgres'];
  const args = [...login, '--slot=app', '--start', '-f', file, '-s', '1', '-F', '1', '-o', 'skip-empty-xacts=1'];
  const env = { PATH: process.env['PATH'], LANG: 'C.UTF-8', PGPASSWORD: 'postgres' };
  return spawn(join(findBinDir(), 'pg_recvlogical'), args, { ...owner, env, stdio: 'ignore' });
}

const slots = (node: ClusterNode, where = 'true') =>
  node.sql<{ name: string; at: string }>(
    `select slot_name as name, confirmed_flush_lsn::text as at from pg_replication_slots where ${where} order by 1`,
  );

test('a permanent logical slot goes with the lead, a lost one is made again, a stranger’s goes and an ignored one stays', async () => {
  cluster = await startCluster({
    dynamic: {
      ignore_slots: [{ name: 'mine', type: 'logical' }],
      postgresql: { parameters: { wal_level: 'logical', wal_receiver_status_interval: '1s' } },
    },
  });
  const of = cluster;
  let leader = of.node(await of.waitHealthy());
  await leader.sql('create table things (id int primary key)');
  await of.configure({ slots: { app: { type: 'logical', database: 'postgres', plugin: 'test_decoding' }, dr: 0 } });
  const isEverywhere = (nodes: readonly ClusterNode[]) =>
    of.until('every node has the slot', 60_000, async () => {
      const found = await Promise.all(nodes.map((node) => slots(node, "slot_name in ('app', 'dr')").catch(() => [])));
      return found.every((rows) => rows.length === 2);
    });
  await isEverywhere(of.nodes);
  await of.until('the standbys say that they lack none', 10_000, async () => {
    const answers = await Promise.all(of.others(leader.name).map((node) => node.rest('/patroni')));
    return answers.every((answer) => JSON.stringify(answer?.body?.['regent']).includes('"missing_logical_slots":[]'));
  });
  expect(await slots(leader, "slot_name = 'app'")).toHaveLength(1);

  const file = join(of.root, 'consumed');
  const read = () => [...readFileSync(file, 'utf8').matchAll(/INSERT: id\[integer\]:(\d+)/g)].map(([, id]) => Number(id));
  const hasRead = (last: number) =>
    of.until(`the consumer has row ${last}`, 40_000, async () => {
      try {
        return read().at(-1) === last;
      } catch {
        return false;
      }
    });
  consumer = consume(leader, file);
  for (let id = 1; id <= 3; id++) await leader.sql(`insert into things values (${id})`);
  await hasRead(3);
  const [before] = await slots(leader, "slot_name = 'app'");
  await of.until('the copies are where the consumer is', 40_000, async () => {
    const found = await Promise.all(
      of.others(leader.name).map((node) => slots(node, `slot_name = 'app' and confirmed_flush_lsn >= '${before!.at}'`)),
    );
    return found.every((rows) => rows.length === 1);
  });

  await end(consumer);
  const old = leader;
  await old.sql('insert into things values (4)');
  const asked = await old.rest('/switchover', { method: 'POST', body: { leader: old.name }, timeoutMs: 30_000 });
  expect(asked?.status, old.tail(4)).toBe(200);
  leader = of.node(await of.waitForLeader({ not: old.name }));
  await leader.sql('insert into things values (5)');
  consumer = consume(leader, file);
  await hasRead(5);
  await isEverywhere(of.nodes);

  const [at] = await slots(leader, "slot_name = 'app'");
  await of.until('the copies have followed', 40_000, async () => {
    const found = await Promise.all(
      of.others(leader.name).map((node) => slots(node, `slot_name = 'app' and confirmed_flush_lsn >= '${at!.at}'`)),
    );
    return found.every((rows) => rows.length === 1);
  });
  await leader.killAll();
  await end(consumer);
  const next = of.node(await of.waitForLeader({ not: leader.name }));
  await next.sql('insert into things values (6)');
  consumer = consume(next, file);
  await hasRead(6);
  expect([...new Set(read())]).toEqual([1, 2, 3, 4, 5, 6]);
  expect(next.log()).not.toContain('created again');
  await end(consumer);

  await next.sql("select pg_create_logical_replication_slot(n, 'test_decoding') from unnest('{mine,by_hand}'::text[]) n");
  await next.sql("select pg_create_physical_replication_slot('by_hand_too', true)");
  await of.until('what nothing accounts for is dropped', 40_000, async () => (await slots(next, "slot_name like 'by_hand%'")).length === 0);
  expect(await slots(next, "slot_name = 'mine'")).toHaveLength(1);

  await of.configure({ postgresql: { parameters: { max_slot_wal_keep_size: '16MB', wal_keep_size: '16MB' } } });
  await of.until(
    'the limit is in force',
    30_000,
    async () => (await next.sql("select 1 where current_setting('max_slot_wal_keep_size') = '16MB'")).length === 1,
  );
  const [lost] = await slots(next, "slot_name = 'app'");
  for (let i = 0; i < 6; i++) await next.sql(`insert into things values (${100 + i}); select pg_switch_wal()`, 10_000);
  await next.sql('checkpoint', 10_000);
  await of.until('the slot that was lost is made again', 40_000, async () => {
    return (await slots(next, `slot_name = 'app' and wal_status <> 'lost' and confirmed_flush_lsn > '${lost!.at}'`)).length === 1;
  });
});
