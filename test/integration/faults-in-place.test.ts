/** Faults that must not cost a ttl. It is 20 s here, so that nothing in this file can have waited for it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';

/** Far below the ttl, far above what a busy machine takes. */
const AT_ONCE_MS = 8000;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ dynamic: { ttl: 20, loop_wait: 5, retry_timeout: 5 } });
});
afterAll(() => cluster?.close());

async function timelineOf(node: ClusterNode): Promise<unknown> {
  return (await node.rest('/patroni'))?.body?.['timeline'];
}

async function patchConfig(node: ClusterNode, body: unknown): Promise<void> {
  const answer = await node.rest('/config', { method: 'PATCH', body, timeoutMs: 5000 });
  expect(answer?.status).toBe(200);
}

describe('the postmaster is killed', () => {
  test('it is started again in place: same leader, same timeline', async () => {
    const leader = cluster.node(await cluster.waitHealthy());
    const timeline = await timelineOf(leader);
    const pid = leader.postmasterPid;
    const writer = cluster.writer();
    await writer.next(5000);
    const killedAtMs = performance.now();
    await leader.killPostmaster();
    const first = await writer.ack('after the restart', AT_ONCE_MS, (ack) => ack.atMs > killedAtMs + 20);
    expect(await cluster.waitHealthy()).toBe(leader.name);
    expect(leader.postmasterPid).not.toBe(pid);
    expect(await timelineOf(leader)).toBe(timeline);
    expect(writer.on(leader.name).length).toBe(writer.acks.length);
    await cluster.verify(writer);
    console.log(`postmaster killed, restarted in place: ${Math.round(first.atMs - killedAtMs)} ms without a write`);
  });

  test('with primary_start_timeout 0 another leads at once', async () => {
    const old = cluster.node(await cluster.waitHealthy());
    await patchConfig(old, { primary_start_timeout: 0 });
    await cluster.until('the leader has read the setting', 10_000, async () => {
      return (await old.rest('/config'))?.body?.['primary_start_timeout'] === 0;
    });
    const writer = cluster.writer();
    await writer.next(5000);
    const killedAtMs = performance.now();
    await old.killPostmaster();
    const first = await writer.ack('on another node', AT_ONCE_MS, (ack) => ack.node !== old.name);
    expect(await cluster.waitHealthy()).toBe(first.node);
    await cluster.verify(writer);
    await patchConfig(cluster.node(first.node), { primary_start_timeout: null });
    console.log(`postmaster killed, primary_start_timeout 0: ${Math.round(first.atMs - killedAtMs)} ms without a write`);
  });
});

describe('SIGTERM of the leader', () => {
  test('hands over at once and leaves nothing behind', async () => {
    const old = cluster.node(await cluster.waitHealthy());
    const writer = cluster.writer();
    await writer.next(5000);
    const sinceMs = performance.now();
    const ended = old.terminate();
    const first = await writer.ack('on another node', AT_ONCE_MS, (ack) => ack.node !== old.name);
    expect(await ended).toBe(0);
    const gapMs = writer.longestGapMs(sinceMs);
    old.start();
    expect(await cluster.waitHealthy()).toBe(first.node);
    await cluster.verify(writer);
    console.log(`SIGTERM of the leader: ${Math.round(gapMs)} ms without a write`);
  });
});
