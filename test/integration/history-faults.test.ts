/**
 * The disks differ from what etcd and the numbers say: a restored etcd, a replica that was opened
 * for writes by hand, a paused replay.
 */
import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findBinDir } from './support/bin-dir.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { mendAfterFailure } from './support/mend.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster?.close());
mendAfterFailure(() => cluster);

const healthy = async () => cluster.node(await cluster.waitHealthy(90_000));
const idsOn = async (node: ClusterNode, from: number) =>
  (await node.sql<{ id: string }>(`select id from writes where id >= ${from} order by id`)).map(({ id }) => Number(id));
const insert = (node: ClusterNode, from: number, count: number) =>
  node.sql(`insert into writes select generate_series(${from}, ${from + count - 1})`);
const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

const synced = (quorum: number, standbys: number) =>
  cluster.until('/sync is settled', 40_000, async () => {
    const sync = JSON.parse((await cluster.key('sync')) ?? '{}') as { quorum?: number; sync_standby?: string };
    return sync.quorum === quorum && sync.sync_standby?.split(',').length === standbys;
  });

/** All of its processes are gone, and another leads with everything. */
async function loseLeader(leader: ClusterNode, from: number, count: number): Promise<ClusterNode> {
  // Of three, the two that stay are enough for an election.
  await synced(1, 2);
  await leader.killAll();
  const next = cluster.node(await cluster.waitForLeader({ not: leader.name }));
  expect(await idsOn(next, from)).toEqual(range(from, count));
  leader.start();
  return next;
}

test('replay that an operator paused on every replica does not keep them from leading', async () => {
  const leader = await healthy();
  for (const node of cluster.others(leader.name)) await node.sql('select pg_wal_replay_pause()');
  await insert(leader, 1_000, 5);
  const next = await loseLeader(leader, 1_000, 5);
  // The other is as its operator left it.
  for (const node of cluster.others(leader.name, next.name))
    await cluster.until(`${node.name} replays again`, 40_000, async () => {
      await node.sql('select pg_wal_replay_resume()');
      return true;
    });
});

test('a limit that only the leader was restarted with: the others restart for it by themselves, and may lead', async () => {
  const leader = await healthy();
  const edit = await cluster.ctl(['edit-config', '--pg', 'max_connections=60', '--force', '--quiet']);
  expect(edit).toMatchObject({ code: 0 });
  for (const node of cluster.nodes)
    await cluster.until(`${node.name} waits for a restart`, 30_000, async () => {
      const member = JSON.parse((await cluster.key(`members/${node.name}`)) ?? '{}') as { pending_restart?: boolean };
      return member.pending_restart === true;
    });
  const restart = await cluster.ctl(['restart', cluster.scope, leader.name, '--force']);
  expect(restart.stderr).toContain('replay stops there, and they restart for it');
  for (const node of cluster.others(leader.name))
    await cluster.until(`${node.name} has the limit`, 60_000, async () => {
      const [row] = await node.sql<{ most: string }>("select current_setting('max_connections') as most").catch(() => []);
      return row?.most === '60';
    });
  await insert(leader, 2_000, 5);
  await loseLeader(leader, 2_000, 5);
});

test('a replica that was opened for writes by hand never leads with its own WAL', async () => {
  const leader = await healthy();
  const [replica, other] = cluster.others(leader.name) as [ClusterNode, ClusterNode];
  // Before its first restartpoint on the leader's timeline it would be opened on the one before,
  // which pg_rewind sees and mends.
  await leader.sql('checkpoint');
  await cluster.until('the replica’s control file is on the leader’s timeline', 20_000, async () => {
    await replica.sql('checkpoint');
    const timeline = async (node: ClusterNode) => (await node.sql('select timeline_id from pg_control_checkpoint()'))[0];
    return JSON.stringify(await timeline(replica)) === JSON.stringify(await timeline(leader));
  });
  await replica.freezeAgent();
  await replica.killPostmaster();
  rmSync(join(replica.dataDir, 'standby.signal'));
  // Its parent, which stands still, has not heard yet that it is gone.
  const { directory, postgresPort } = replica.place;
  for (const lock of [join(replica.dataDir, 'postmaster.pid'), join(directory, `.s.PGSQL.${postgresPort}.lock`)])
    rmSync(lock, { force: true });
  const options = `-p ${replica.place.postgresPort} -h ${replica.place.host} -k ${replica.place.directory} -c max_connections=60`;
  const { owner } = replica.place;
  const pgCtl = [
    join(findBinDir(), 'pg_ctl'),
    '-D',
    replica.dataDir,
    '-w',
    '-l',
    join(replica.place.directory, 'by-hand.log'),
    '-o',
    options,
    'start',
  ];
  // Children of the one that was killed hold its shared memory for a moment longer.
  await cluster.until('it starts by hand', 30_000, () => {
    const asOwner = [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups', '--', ...pgCtl];
    return spawnSync('setpriv', asOwner, { stdio: 'ignore', cwd: directory }).status === 0;
  });
  await replica.sql('set synchronous_commit = local; insert into writes values (3999)');
  replica.thawAgent();
  await cluster.until('it says that it diverged', 60_000, () =>
    replica.log().includes(`regentctl reinit ${cluster.scope} ${replica.name}`),
  );
  expect((await replica.answer('/replica')).status).toBe(503);
  await synced(0, 1);
  await insert(leader, 3_000, 5);
  await leader.killAll();
  expect(await cluster.waitForLeader({ not: leader.name })).toBe(other.name);
  expect(await idsOn(other, 3_000)).toEqual(range(3_000, 5));
  leader.start();
  expect((await cluster.ctl(['reinit', cluster.scope, replica.name, '--force'])).code).toBe(0);
  await healthy();
  await cluster.eventually('the replica has them', 20_000, async () => {
    const ids = await idsOn(replica, 3_000);
    return isDeepStrictEqual(ids, range(3_000, 5)) ? { value: true } : { missing: ids.join() };
  });
});

test('a replica that was promoted by hand does not lead, and is not waited for, after its agent was restarted', async () => {
  const leader = await healthy();
  const [replica, other] = cluster.others(leader.name) as [ClusterNode, ClusterNode];
  await cluster.configure({ synchronous_mode: false, postgresql: { use_pg_rewind: false } });
  const mark = `${replica.dataDir}.regent-opened-by-hand`;
  // The test before may have made the same replica ask for a copy.
  const logged = replica.log().length;
  await replica.sql('select pg_promote()').catch(() => undefined);
  await cluster.until('its agent asks for a new copy', 60_000, () =>
    replica.log().slice(logged).includes(`regentctl reinit ${cluster.scope} ${replica.name}`),
  );
  await cluster.until('the mark is there', 10_000, () => existsSync(mark));
  await replica.killAgent();
  replica.start();
  await insert(leader, 3_500, 5);
  await cluster.until('the other has it', 30_000, async () => (await idsOn(other, 3_500)).length === 5);
  await cluster.until('its new agent answers', 30_000, async () => (await replica.rest('/patroni')) !== null);
  await leader.killAll();
  expect(await cluster.waitForLeader({ not: leader.name })).toBe(other.name);
  expect(await idsOn(other, 3_500)).toEqual(range(3_500, 5));
  await cluster.configure({ synchronous_mode: 'quorum', postgresql: { use_pg_rewind: true } });
  leader.start();
  // Both began a timeline of the same number.
  expect((await cluster.ctl(['reinit', cluster.scope, replica.name, '--force'])).code).toBe(0);
  await healthy();
  await cluster.until('the mark is gone', 20_000, () => !existsSync(mark));
});

/**
 * It had heard of the one that led for a moment, and got none of its WAL; the next leader had not
 * heard of it, and began a timeline of the same number at another place.
 */
test('a replica that has the history of a timeline which nobody leads on follows its leader again', async () => {
  const leader = await healthy();
  const [replica, next] = cluster.others(leader.name) as [ClusterNode, ClusterNode];
  await replica.terminate();
  const switchover = await cluster.ctl(['switchover', cluster.scope, '--leader', leader.name, '--candidate', next.name, '--force']);
  expect(switchover, switchover.stderr).toMatchObject({ code: 0 });
  const [wal] = await next.sql<{ file: string }>('select pg_walfile_name(pg_current_wal_lsn()) as file');
  const name = `${wal?.file.slice(0, 8)}.history`;
  const lines = readFileSync(join(next.dataDir, 'pg_wal', name), 'utf8')
    .trimEnd()
    .split('\n');
  const elsewhere = [...lines.slice(0, -1), lines.at(-1)?.replace(/\t\S+\t/, '\t7F/0\t'), ''].join('\n');
  const file = join(replica.dataDir, 'pg_wal', name);
  writeFileSync(file, elsewhere);
  chownSync(file, replica.place.owner.uid, replica.place.owner.gid);
  await insert(next, 3_700, 5);
  const logged = replica.log().length;
  replica.start();
  await cluster.until('the replica has the rows', 30_000, async () => (await idsOn(replica, 3_700).catch(() => [])).length === 5);
  expect(replica.log().slice(logged)).toContain(`removed ${name}, so that PostgreSQL no longer follows a timeline`);
  await healthy();
});

test('an etcd restored from an older snapshot gives the lead to no member that has less', async () => {
  const first = await healthy();
  const snapshot = cluster.etcd.snapshot();
  const [second, third] = cluster.others(first.name) as [ClusterNode, ClusterNode];
  for (const [from, to] of [
    [first, second],
    [second, third],
  ] as const) {
    expect((await cluster.ctl(['switchover', cluster.scope, '--leader', from.name, '--candidate', to.name, '--force'])).code).toBe(0);
    await cluster.waitHealthy(60_000);
  }
  await first.terminate();
  await insert(third, 4_000, 20);
  await second.terminate();
  await third.terminate();
  await cluster.etcd.restore(snapshot);
  expect(await cluster.key('leader')).toBe(first.name);
  for (const node of [first, second, third]) node.start();
  const leader = await healthy();
  expect(leader.name).not.toBe(first.name);
  for (const node of cluster.nodes)
    await cluster.until(`${node.name} has all rows`, 20_000, async () => isDeepStrictEqual(await idsOn(node, 4_000), range(4_000, 20)));
});
