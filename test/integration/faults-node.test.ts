/**
 * Whole nodes die as if their machines had lost power: kill -9 of agent, guard and PostgreSQL at
 * once.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from './support/cluster.ts';
import { mendAfterFailure } from './support/mend.ts';
import { PATIENT } from './support/siege.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ dynamic: { ttl: 5 } });
});
afterAll(() => cluster?.close());
mendAfterFailure(() => cluster);

describe('a node dies', () => {
  test('the leader’s: another leads, no acknowledged commit is lost, it comes back as a replica', async () => {
    const old = cluster.node(await cluster.waitHealthy());
    const writer = cluster.writer();
    await writer.next();
    const killedAtMs = performance.now();
    await old.killAll();
    const successor = await cluster.waitForLeader({ not: old.name });
    const first = await writer.ack('on the successor', 30_000, (ack) => ack.node === successor);
    old.start();
    expect(await cluster.waitHealthy()).toBe(successor);
    await cluster.verify(writer);
    console.log(`kill -9 of the leader’s node, ttl 5: ${Math.round(first.atMs - killedAtMs)} ms without a write`);
  });

  test('a replica’s: writes go on without a pause, and it streams again', async () => {
    const leader = await cluster.waitHealthy();
    const [replica] = cluster.others(leader);
    const writer = cluster.writer(PATIENT);
    await writer.next();
    await replica!.killAll();
    await cluster.until(`${replica!.name} is out of the synchronous set`, 30_000, async () => {
      const sync = JSON.parse((await cluster.key('sync')) ?? '{}') as { sync_standby?: string };
      return !(sync.sync_standby ?? '').includes(replica!.name);
    });
    replica!.start();
    expect(await cluster.waitHealthy()).toBe(leader);
    await writer.stop();
    expect(writer.errors).toEqual([]);
    await cluster.verify(writer);
  });

  test('the only synchronous replica’s: the other takes its place and confirms the commits it already has', async () => {
    const leader = cluster.node(await cluster.waitHealthy());
    await cluster.configure({ synchronous_mode: true });
    await cluster.waitHealthy();
    const sync = JSON.parse((await cluster.key('sync')) ?? '{}') as { sync_standby: string };
    const writer = cluster.writer(PATIENT);
    await writer.next();
    const sinceMs = performance.now();
    await cluster.node(sync.sync_standby).killAll();
    await cluster.until('the other is synchronous', 30_000, async () => {
      const now = JSON.parse((await cluster.key('sync')) ?? '{}') as { sync_standby?: string };
      return now.sync_standby !== '' && now.sync_standby !== sync.sync_standby;
    });
    await writer.next();
    // Without other writers a standby replies once in wal_receiver_status_interval, 10 s: nobody
    // may have waited for that.
    expect(writer.longestGapMs(sinceMs)).toBeLessThan(9500);
    cluster.node(sync.sync_standby).start();
    await cluster.configure({ synchronous_mode: 'quorum' });
    expect(await cluster.waitHealthy()).toBe(leader.name);
    await cluster.verify(writer);
    expect(writer.errors).toEqual([]);
    console.log(`kill -9 of the synchronous replica: ${Math.round(writer.longestGapMs(sinceMs))} ms without a write`);
  });

  test('all replicas’: writes go on, since the mode is not strict, and then only the leader may lead', async () => {
    const leader = cluster.node(await cluster.waitHealthy());
    const replicas = cluster.others(leader.name);
    const writer = cluster.writer();
    await writer.next();
    await Promise.all(replicas.map((replica) => replica.killAll()));
    const killedAtMs = performance.now();
    // Whatever was sent before the kill is answered within this second; later ones can only be
    // confirmed by the leader alone.
    await writer.ack('with no replica left', 30_000, (ack) => ack.atMs > killedAtMs + 1000);
    await leader.killAll();
    const before = new Map(replicas.map((replica) => [replica, replica.log().length]));
    for (const replica of replicas) replica.start();
    await cluster.until('both replicas refuse to lead without the leader’s commits', 40_000, () =>
      replicas.every((replica) => /of the \d+ votes? needed/.test(replica.log().slice(before.get(replica)))),
    );
    expect(await cluster.leader()).toBe(null);
    leader.start();
    expect(await cluster.waitHealthy()).toBe(leader.name);
    await cluster.verify(writer);
  });
});
