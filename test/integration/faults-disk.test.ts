/** A disk that hangs: PostgreSQL takes connections and answers, and no write ever returns. */
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from './support/cluster.ts';
import { Mounts, whyNoMounts } from './support/mounts.ts';

const TTL_SECONDS = 30;
const UNRESPONSIVE_SECONDS = 5;

const obstacle = whyNoMounts();
if (obstacle !== null) console.log(`the tests of disks that hang are skipped: ${obstacle}`);

const mounts = new Mounts();
let cluster: Cluster;
const diskOf = (name: string) => join(cluster.node(name).place.directory, 'disk');

beforeAll(async () => {
  if (obstacle !== null) return;
  cluster = await startCluster({
    start: false,
    data: 'disk/data',
    dynamic: { ttl: TTL_SECONDS, loop_wait: 10, retry_timeout: 10, postgresql_unresponsive_after: UNRESPONSIVE_SECONDS },
  });
  for (const { name, place } of cluster.nodes) mounts.ownDisk(diskOf(name), 512, place.owner);
  for (const node of cluster.nodes) node.start();
  const leader = cluster.node(await cluster.waitHealthy(90_000));
  await leader.sql('create table if not exists writes (id bigint primary key)');
});

afterEach(() => mounts.thaw());

afterAll(async () => {
  mounts.thaw();
  await Promise.all((cluster?.nodes ?? []).map((node) => node.killAll()));
  mounts.remove();
  await cluster?.close();
});

describe.skipIf(obstacle !== null)('the disk of the primary hangs', () => {
  test('its voters replace it long before its lease is over, and it comes back once the disk does', async () => {
    const old = cluster.node(await cluster.waitHealthy());
    const set = cluster
      .others(old.name)
      .map(({ name }) => name)
      .sort()
      .join(',');
    await cluster.until('both confirm', 30_000, async () => JSON.parse((await cluster.key('sync')) ?? '{}').sync_standby === set);
    const [direct, any] = [cluster.writer({ only: old.name, beside: true }), cluster.writer()];
    await Promise.all([direct.next(), any.next()]);
    const frozenAtMs = performance.now();
    mounts.freeze(diskOf(old.name));
    const first = await any.ack('on a successor', 40_000, ({ node }) => node !== old.name);
    console.log(`the disk hangs: ${Math.round(first.atMs - frozenAtMs)} ms until the successor`);
    // The lease lasts for as long as the agent renews it, and then for another ttl.
    expect(first.atMs - frozenAtMs).toBeLessThan((TTL_SECONDS - 5) * 1000);
    expect(Math.max(...[...direct.acks, ...any.on(old.name)].map(({ atMs }) => atMs))).toBeLessThan(first.atMs);
    const why = /asking the voters for another leader|it has not answered for \d+ seconds/;
    await cluster.until('its log says why', 10_000, () => why.test(old.log()));
    await any.ack('later', 30_000, ({ atMs }) => atMs > first.atMs + 2000);
    expect(direct.acks.every(({ atMs }) => atMs < first.atMs)).toBe(true);
    mounts.thaw();
    await cluster.waitHealthy(60_000);
    await cluster.verify(direct, any);
  });
});
