/**
 * The agent is gone or stands still while its PostgreSQL goes on, and clients write straight to it. Replication is asynchronous at first, so that
 * nothing but the lease and the guard keeps the old primary from acknowledging.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import type { Writer } from './support/writer.ts';

const TTL_SECONDS = 5;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ dynamic: { ttl: TTL_SECONDS, synchronous_mode: null } });
});
afterAll(() => cluster?.close());

interface Siege {
  readonly old: ClusterNode;
  readonly writers: readonly Writer[];
}

/** A writer straight to every node, the leader's at work. */
async function besiege(): Promise<Siege> {
  const old = cluster.node(await cluster.waitHealthy());
  const writers = cluster.nodes.map((node) => cluster.writer({ only: node.name }));
  await writers[cluster.nodes.indexOf(old)]!.next(5000);
  return { old, writers };
}

/** Waits until another node takes writes; returns its name. */
async function successorOf({ old, writers }: Siege): Promise<string> {
  const others = writers.filter((_, i) => cluster.nodes[i] !== old);
  const first = await Promise.race(others.map((writer) => writer.ack('on a successor', 20_000, () => true))).catch(async (error: Error) => {
    throw new Error(`${error.message}\n${await cluster.describe()}`);
  });
  return first.node;
}

/** Throws unless the last acknowledgement of the old primary came before the first of any other node. */
async function noOverlap({ old, writers }: Siege): Promise<void> {
  await Promise.all(writers.map((writer) => writer.stop()));
  const acks = writers.flatMap((writer) => writer.acks);
  const lastOld = Math.max(...acks.filter((ack) => ack.node === old.name).map((ack) => ack.atMs));
  const firstNew = Math.min(...acks.filter((ack) => ack.node !== old.name).map((ack) => ack.atMs));
  console.log(`last write on the old primary ${Math.round(firstNew - lastOld)} ms before the first on the new`);
  expect(lastOld).toBeLessThan(firstNew);
}

describe('the leader’s agent is killed', () => {
  test('and restarted in time: PostgreSQL is not touched, nor are the clients', async () => {
    const leader = cluster.node(await cluster.waitHealthy());
    const pid = leader.postmasterPid;
    const writer = cluster.writer({ only: leader.name, patienceMs: 30_000 });
    await writer.next(5000);
    const killedAtMs = performance.now();
    await leader.killAgent();
    leader.start();
    // Past the end of the lease that the killed agent held, and of the deadline it had left with the guard.
    await writer.ack('past the old lease', 15_000, (ack) => ack.atMs > killedAtMs + (TTL_SECONDS + 1) * 1000);
    expect(await cluster.waitHealthy()).toBe(leader.name);
    expect(leader.postmasterPid).toBe(pid);
    await writer.stop();
    expect(writer.errors).toEqual([]);
  });

  test('for good: the guard stops PostgreSQL before another node is primary', async () => {
    const siege = await besiege();
    const { old } = siege;
    await old.killAgent();
    const successor = await successorOf(siege);
    expect(old.postmasterPid).toBe(null);
    old.start();
    expect(await cluster.waitHealthy()).toBe(successor);
    await noOverlap(siege);
  });
});

describe('the leader’s agent is frozen', () => {
  test('the guard stops PostgreSQL before another node is primary; thawed, the node joins as a replica', async () => {
    const siege = await besiege();
    const { old } = siege;
    const pid = old.agentPid;
    await old.freezeAgent();
    const successor = await successorOf(siege);
    expect(old.postmasterPid).toBe(null);
    old.thawAgent();
    expect(await cluster.waitHealthy()).toBe(successor);
    expect(old.agentPid).toBe(pid);
    await noOverlap(siege);
  });

  test('and its guard with it, and the other replica’s when its word was taken: nothing is acknowledged that would be lost', async () => {
    await cluster.configure({ synchronous_mode: 'quorum' });
    const siege = await besiege();
    const { old } = siege;
    const offsets = new Map(cluster.nodes.map((node) => [node, node.log().length]));
    await old.freezeGuard();
    await old.freezeAgent();
    // The old primary runs on without anybody to stop it. The replica that stays one is frozen as soon as the other has the key: both may have wanted it.
    const winner = await cluster.eventually(
      'a replica has the lead',
      15_000,
      async () => {
        const found = cluster
          .others(old.name)
          .find((node) => node.log().slice(offsets.get(node)).includes('promoted self to leader by acquiring session lock'));
        return found === undefined ? { missing: 'none does' } : { value: found };
      },
      1,
    );
    const other = cluster.others(old.name, winner.name)[0]!;
    await other.freezeAgent();
    await cluster.until('it is open for writes', 15_000, async () => {
      const [row] = await winner.sql<{ open: boolean }>('select not pg_is_in_recovery() as open');
      return row?.open === true;
    });
    const openSinceMs = performance.now();
    const late = siege.writers[cluster.nodes.indexOf(old)]!.ack('on the old primary', 500, (ack) => ack.atMs > openSinceMs);
    await expect(late).rejects.toThrow('no acknowledged write');
    other.thawAgent();
    await successorOf(siege);
    old.thawGuard();
    old.thawAgent();
    expect(await cluster.waitHealthy()).toBe(winner.name);
    await noOverlap(siege);
    await cluster.verify(...siege.writers);
  });
});
