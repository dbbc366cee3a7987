/** etcd loses a member, then all of them. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from './support/cluster.ts';
import { mendAfterFailure } from './support/mend.ts';
import { PATIENT } from './support/siege.ts';

const TTL_SECONDS = 5;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ dynamic: { ttl: TTL_SECONDS } });
});
afterAll(() => cluster?.close());
mendAfterFailure(() => cluster);

/** Remote ports of a process's established TCP connections: proc_net(5). */
function remotePorts(pid: number): readonly number[] {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode !== undefined) inodes.add(inode);
    } catch {
      // Closed since the directory was listed.
    }
  }
  const rows = readFileSync(`/proc/${pid}/net/tcp`, 'utf8').split('\n').slice(1);
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter((fields) => fields[3] === '01' && inodes.has(fields[9] ?? ''))
    .map((fields) => Number.parseInt(fields[2]!.split(':')[1]!, 16));
}

async function dcsLastSeen(): Promise<number> {
  const answers = await Promise.all(cluster.nodes.map((node) => node.rest('/patroni')));
  return Math.min(...answers.map((answer) => Number(answer?.body?.['dcs_last_seen'] ?? 0)));
}

describe('etcd', () => {
  test('loses the member the leader talks to: no role changes, no write fails', async () => {
    const leader = cluster.node(await cluster.waitHealthy());
    const writer = cluster.writer(PATIENT);
    await writer.next();
    const member = await cluster.eventually('the leader talks to a member of etcd', 10_000, async () => {
      const ports = remotePorts(leader.agentPid!);
      const found = cluster.etcd.members.find(({ endpoint }) => ports.includes(Number(new URL(endpoint).port)));
      return found === undefined ? { missing: `one of ${cluster.etcd.endpoints} among ${ports}` } : { value: found };
    });
    await member.kill();
    const killedAtMs = performance.now();
    const seenAt = Date.now() / 1000;
    await writer.ack('past the lease that was held', 40_000, (ack) => ack.atMs > killedAtMs + (TTL_SECONDS + 1) * 1000);
    await cluster.until('every agent reads etcd again', 30_000, async () => (await dcsLastSeen()) > seenAt);
    await member.restart();
    expect(await cluster.waitHealthy()).toBe(leader.name);
    await writer.stop();
    expect(writer.errors).toEqual([]);
    expect(writer.on(leader.name).length).toBe(writer.acks.length);
    console.log(`etcd member killed: longest pause between writes ${Math.round(writer.longestGapMs())} ms`);
  });

  test('dies as a whole, and no voter may vouch: no node is writable past the lease; back again, one leads and has everything', async () => {
    await cluster.configure({ failover_fence: 'lease' });
    await cluster.waitHealthy();
    const writers = cluster.nodes.map((node) => cluster.writer({ only: node.name }));
    const acks = () => writers.flatMap((writer) => writer.acks);
    await cluster.until('a first write', 30_000, () => acks().length > 0);
    await Promise.all(cluster.etcd.members.map((member) => member.kill()));
    // Until then the lease may have been renewed.
    const killedAtMs = performance.now();
    await cluster.until('no node is writable', (TTL_SECONDS + 15) * 1000, async () => (await writable()).length === 0);
    const lastAckMs = Math.max(...acks().map((ack) => ack.atMs));
    expect(lastAckMs).toBeLessThan(killedAtMs + TTL_SECONDS * 1000);
    // Every node goes on looking for etcd, and nobody opens for writes on the way.
    await cluster.until('the members say that etcd is away', 30_000, () =>
      cluster.nodes.every((node) => node.log().includes('DCS is not accessible')),
    );
    expect(await writable()).toEqual([]);
    const restartedAtMs = performance.now();
    await Promise.all(cluster.etcd.members.map((member) => member.restart()));
    await cluster.waitHealthy();
    for (const writer of writers) await writer.stop();
    expect(acks().filter((ack) => ack.atMs > lastAckMs && ack.atMs < restartedAtMs)).toEqual([]);
    await cluster.verify(...writers);
  });
});

async function writable(): Promise<readonly string[]> {
  const rows = await Promise.all(
    cluster.nodes.map((node) => node.sql<{ open: boolean }>('select not pg_is_in_recovery() as open', 2000).catch(() => null)),
  );
  return cluster.nodes.filter((_, i) => rows[i]?.[0]?.open === true).map((node) => node.name);
}
