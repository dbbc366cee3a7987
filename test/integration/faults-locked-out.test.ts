/** Servers that do not let their agents in any more: what is promised is kept over connections from before, by files and by signals. */
import { afterEach, expect, test } from 'vitest';
import { type Cluster, startCluster } from './support/cluster.ts';

let cluster: Cluster | null = null;
afterEach(async () => {
  await cluster?.close();
  cluster = null;
});

const health = async (of: Cluster) => (await of.ctl(['health', '--no-haproxy', '-f', 'json'])).stdout;

test('a changed password keeps neither a switchover from being refused, nor a dead standby from being let go, nor a successor from leading', async () => {
  cluster = await startCluster({ dynamic: { ttl: 5 } });
  const old = cluster.node(await cluster.waitHealthy());
  const writer = cluster.writer({ patienceMs: 30_000 });
  await writer.next(5000);
  await old.sql("alter role postgres password 'rotated'");
  for (const node of cluster.nodes) node.superuserPassword = 'rotated';
  await cluster.until('health tells of every agent', 40_000, async () => (await health(cluster!)).split('is locked out of').length > 3);
  expect((await cluster.ctl(['list'])).stdout).toContain(`The agent of ${old.name} is locked out of its PostgreSQL`);
  const [lost, heir] = cluster.others(old.name);
  await cluster.ctl(['switchover', '--leader', old.name, '--candidate', heir!.name, '--force']);
  await cluster.until('the switchover is dropped', 10_000, async () => !((await cluster!.key('failover')) ?? '').includes('leader'));
  expect(await cluster.leader()).toBe(old.name);

  await lost!.killAll();
  await cluster.until('it is let go', 15_000, async () => !((await cluster!.key('sync')) ?? '').includes(lost!.name));
  await writer.next(10_000);
  lost!.start();
  await writer.next(10_000);
  const before = old.log().match(/is locked out of PostgreSQL/g)?.length;
  expect(before).toBe(1);
  await cluster
    .until('it is back in the set', 30_000, async () => ((await cluster!.key('sync')) ?? '').includes(lost!.name))
    .catch(() => null);

  const killedAtMs = performance.now();
  await old.killAll();
  const leader = await cluster.waitForLeader({ not: old.name, timeoutMs: 12_000 });
  console.log(`leader killed, every agent locked out, ttl 5: ${Math.round(performance.now() - killedAtMs)} ms without a leader`);
  await writer.ack('on the successor', 15_000, (ack) => ack.node === leader);
});
