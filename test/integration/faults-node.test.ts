import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from './support/cluster.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster?.close());

describe('a node dies', () => {
  test('kill -9 of the leader’s whole node: another leads, nothing acknowledged is lost, it comes back as a replica', async () => {
    const old = cluster.node(await cluster.waitHealthy());
    const writer = cluster.writer();
    await writer.next(5000);
    await old.killAll();
    const successor = await cluster.waitForLeader({ not: old.name });
    await writer.ack('on the successor', 10_000, (ack) => ack.node === successor);
    old.start();
    expect(await cluster.waitHealthy()).toBe(successor);
    await cluster.verify(writer);
    console.log(`outage ${Math.round(writer.longestGapMs())} ms with ttl 6`);
  });
});
