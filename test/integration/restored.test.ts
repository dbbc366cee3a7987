/**
 * Members whose data directory somebody replaced by a base backup, or opened by hand; and rewinds
 * that fail for a while.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findBinDir } from './support/bin-dir.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { editLocal } from './support/local-config.ts';
import { mendAfterFailure } from './support/mend.ts';

let cluster: Cluster;
const backup = () => join(cluster.root, 'backup');

beforeAll(async () => {
  cluster = await startCluster({ dynamic: { primary_start_timeout: 0 } });
  const leader = cluster.node(await cluster.waitHealthy());
  const { host, postgresPort } = leader.place;
  const dsn = `host=${host} port=${postgresPort} user=replicator password=replicator`;
  execFileSync(join(findBinDir(), 'pg_basebackup'), ['-D', backup(), '-d', dsn, '-c', 'fast', '--no-sync'], { stdio: 'pipe' });
  for (let id = 1; id <= 20; id += 1) await leader.sql(`insert into writes values (${id})`);
  await switchover(leader.name);
  await switchover(await cluster.waitHealthy());
});
afterAll(() => cluster?.close());
mendAfterFailure(() => cluster);

async function switchover(from: string): Promise<void> {
  const { code, stdout } = await cluster.ctl(['switchover', cluster.scope, '--leader', from, '--force'], 60_000);
  expect(code, stdout).toBe(0);
  await cluster.waitHealthy();
}

/** Nothing of the node runs. What was configured in the directory comes from its agent again. */
function restore(node: ClusterNode): void {
  rmSync(node.dataDir, { recursive: true });
  execFileSync('cp', ['-a', backup(), node.dataDir]);
  execFileSync('chown', ['-R', `${node.place.owner.uid}:${node.place.owner.gid}`, node.dataDir]);
}

const rowsOn = async (node: ClusterNode) => (await node.sql<{ n: number }>('select count(*)::int as n from writes'))[0]?.n;

test('a replica on which a backup from two timelines ago was restored follows, without a rewind', async () => {
  const leader = await cluster.waitHealthy();
  const [replica] = cluster.others(leader) as [ClusterNode];
  await replica.killAll();
  restore(replica);
  const before = replica.log().length;
  replica.start();
  expect(await cluster.waitHealthy()).toBe(leader);
  const told = replica.log().slice(before);
  expect(told).toContain('starting the base backup in the data directory as a standby');
  expect(told).not.toContain('pg_rewind');
  await cluster.until('it has replayed all', 20_000, async () => (await rowsOn(replica)) === 20);
  await cluster.until('it counts again', 30_000, () => !existsSync(`${replica.dataDir}.regent-restored`));
  await cluster.until('it says so', 20_000, async () => {
    const said = (await replica.rest('/patroni'))?.body?.['regent'] as Readonly<Record<string, unknown>> | undefined;
    return said !== undefined && !('restored' in said);
  });
});

test('a leader on which it was restored does not lead by its old key', async () => {
  const leader = cluster.node(await cluster.waitHealthy());
  await leader.sql('insert into writes values (21)');
  await leader.killAll();
  restore(leader);
  leader.start();
  const successor = await cluster.waitForLeader({ not: leader.name });
  expect(await cluster.waitHealthy()).toBe(successor);
  expect(await rowsOn(cluster.node(successor))).toBe(21);
  expect(leader.log()).toMatch(/releasing the leader key: the data directory is a restored base backup|starting the base backup/);
});

test('a replica that is promoted by hand is back after one rewind', async () => {
  const leader = cluster.node(await cluster.waitHealthy());
  const [replica] = cluster.others(leader.name) as [ClusterNode];
  // Much to write: the first checkpoint of its own takes longer than its agent leaves it.
  await leader.sql(`create table big as select g, repeat('x', 500) as x from generate_series(1, 40000) as g`, 20_000);
  await cluster.waitHealthy();
  const before = replica.log().length;
  await replica.sql('select pg_promote()').catch(() => undefined);
  // The decision; the rounds beside it say that it is in progress.
  const rewound = () =>
    replica
      .log()
      .slice(before)
      .match(/running pg_rewind from \w+$/gm)?.length ?? 0;
  await cluster.until('it is rewound', 60_000, () => rewound() > 0);
  expect(await cluster.waitHealthy()).toBe(leader.name);
  expect(rewound()).toBe(1);
});

/** The programs of PostgreSQL, of which pg_rewind finds the disk full so many times. */
function withFullDisk(node: ClusterNode, times: number): string {
  const directory = join(node.place.directory, 'bin');
  mkdirSync(directory);
  for (const name of readdirSync(findBinDir())) if (name !== 'pg_rewind') symlinkSync(join(findBinDir(), name), join(directory, name));
  const tries = join(node.place.directory, 'tries');
  const script = `#!/bin/sh
echo x >> ${tries}
[ "$(wc -l < ${tries})" -gt ${times} ] && exec ${join(findBinDir(), 'pg_rewind')} "$@"
echo 'pg_rewind: error: could not write file "base/5/1249": No space left on device' >&2
exit 1
`;
  writeFileSync(join(directory, 'pg_rewind'), script, { mode: 0o755 });
  writeFileSync(tries, '', { mode: 0o666 });
  execFileSync('chown', [`${node.place.owner.uid}`, tries]);
  return directory;
}

test('a rewind that finds the disk full is repeated until there is room, and no reinit is advised', async () => {
  await cluster.configure({ synchronous_mode: null });
  const old = cluster.node(await cluster.waitHealthy());
  const senders = await old.sql<{ pid: number }>('select pid from pg_stat_replication');
  for (const { pid } of senders) await old.freezePart(pid);
  await old.sql('insert into writes values (1000)');
  await old.killAll();
  const successor = await cluster.waitForLeader({ not: old.name });
  editLocal(old, { postgresql: { bin_dir: withFullDisk(old, 4) } });
  const before = old.log().length;
  old.start();
  expect(await cluster.waitHealthy(120_000)).toBe(successor);
  const told = old.log().slice(before);
  expect(told).toMatch(/pg_rewind failed \(.*No space left on device.*\); trying again soon/);
  expect(told).not.toContain('regentctl reinit');
});
