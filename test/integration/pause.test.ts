/**
 * Maintenance: automatic failover is off, and nothing is started, stopped or promoted that nobody
 * asked for.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { reload } from './support/local-config.ts';
import type { Writer } from './support/writer.ts';

const TTL_SECONDS = 4;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ dynamic: { ttl: TTL_SECONDS } });
});
afterEach(() => cluster.ctl(['resume', '--wait']));
afterAll(() => cluster?.close());

async function pausedWithWriter(): Promise<{ readonly leader: ClusterNode; readonly writer: Writer }> {
  const leader = cluster.node(await cluster.waitHealthy());
  const writer = cluster.writer({ only: leader.name });
  await writer.next(5000);
  const { code, stdout } = await cluster.ctl(['pause', '--wait']);
  expect(stdout).toContain('Success: cluster management is paused');
  expect(code).toBe(0);
  return { leader, writer };
}

async function resume(): Promise<void> {
  const { code, stdout } = await cluster.ctl(['resume', '--wait']);
  expect(stdout).toContain('Success: cluster management is resumed');
  expect(code).toBe(0);
}

/** The moment from which everything the old lease or the guard could still do has been done. */
const afterLease = () => performance.now() + (TTL_SECONDS + 1) * 1000;

describe('while paused', () => {
  test('an agent that is killed leaves PostgreSQL writable past its lease, and one that comes back leaves it alone', async () => {
    const { leader, writer } = await pausedWithWriter();
    expect((await cluster.ctl(['list'])).stdout).toContain('Maintenance mode: on');
    const server = leader.postmasterPid;
    const dueMs = afterLease();
    await leader.killAgent();
    await writer.ack('past the lease', 15_000, (ack) => ack.atMs > dueMs);
    leader.start();
    await cluster.until('it leads again', 10_000, async () => (await leader.rest('/primary'))?.status === 200);
    reload(leader);
    await resume();
    expect(await cluster.waitHealthy()).toBe(leader.name);
    expect(leader.postmasterPid).toBe(server);
    expect(writer.longestGapMs()).toBeLessThan(1500);
    await cluster.verify(writer);
  });

  test('an agent that is ended in good order leaves PostgreSQL running', async () => {
    const { leader, writer } = await pausedWithWriter();
    const server = leader.postmasterPid;
    const agent = leader.agentPid!;
    process.kill(agent, 'SIGTERM');
    await cluster.until('the agent is gone', 10_000, () => leader.agentPid === null);
    await writer.next(1000);
    leader.start();
    await resume();
    expect(await cluster.waitHealthy()).toBe(leader.name);
    expect(leader.postmasterPid).toBe(server);
    await cluster.verify(writer);
  });

  test('all of etcd goes and comes back, and PostgreSQL never stops', async () => {
    const { leader, writer } = await pausedWithWriter();
    const server = leader.postmasterPid;
    const dueMs = afterLease();
    await Promise.all(cluster.etcd.members.map((member) => member.kill()));
    await writer.ack('past the lease', 15_000, (ack) => ack.atMs > dueMs);
    await Promise.all(cluster.etcd.members.map((member) => member.restart()));
    await resume();
    expect(await cluster.waitHealthy()).toBe(leader.name);
    expect(leader.postmasterPid).toBe(server);
    await cluster.verify(writer);
  });

  test('a primary that crashes stays down and no member takes over; resume heals', async () => {
    const { leader, writer } = await pausedWithWriter();
    await leader.killPostmaster();
    await cluster.until('the leader key is given up', 10_000, async () => (await cluster.key('leader')) === null);
    const rounds = await Promise.all(cluster.nodes.map(roundsOf));
    await cluster.until('every agent has looked at that twice', 10_000, async () => {
      const now = await Promise.all(cluster.nodes.map(roundsOf));
      return now.every((count, i) => count >= rounds[i]! + 2);
    });
    expect(leader.postmasterPid).toBeNull();
    expect(await cluster.leader()).toBeNull();
    await resume();
    await cluster.waitHealthy();
    await cluster.verify(writer);
  });

  test('restart starts a server that is down: a replica as a replica, and the primary as the primary it was', async () => {
    const { leader, writer } = await pausedWithWriter();
    const replica = cluster.others(leader.name)[0]!;
    for (const node of [replica, leader]) {
      await node.killPostmaster();
      await cluster.until(
        `${node.name} is known to be down`,
        10_000,
        async () => (await node.rest('/patroni'))?.body?.['state'] === 'crashed',
      );
      if (node === leader) await cluster.until('the leader key is given up', 10_000, async () => (await cluster.key('leader')) === null);
      expect(await cluster.ctl(['restart', cluster.scope, node.name, '--force'])).toMatchObject({
        code: 0,
        stdout: expect.stringContaining(`Success: restart on member ${node.name}`),
      });
    }
    expect(await cluster.waitForLeader()).toBe(leader.name);
    await writer.next(5000);
    expect((await cluster.ctl(['list'])).stdout).toContain('Maintenance mode: on');
    await resume();
    expect(await cluster.waitHealthy()).toBe(leader.name);
    await cluster.verify(writer);
  });

  test('a switchover by name is carried out, the old primary follows, and a scheduled one is refused', async () => {
    const { leader, writer } = await pausedWithWriter();
    const candidate = cluster.others(leader.name)[0]!.name;
    const at = new Date(Date.now() + 60_000).toISOString();
    const scheduled = await cluster.ctl(['switchover', '--candidate', candidate, '--scheduled', at, '--force']);
    expect(scheduled.stderr).toContain("Can't schedule switchover in the paused state");
    const { stdout } = await cluster.ctl(['switchover', '--candidate', candidate, '--force']);
    expect(stdout).toContain(`Successfully switched over to "${candidate}"`);
    expect(await cluster.waitHealthy()).toBe(candidate);
    expect((await cluster.ctl(['list'])).stdout).toContain('Maintenance mode: on');
    await resume();
    expect(await cluster.waitHealthy()).toBe(candidate);
    await cluster.verify(writer);
  });
});

/** How many rounds the agent has made, by its own metrics. */
async function roundsOf(node: ClusterNode): Promise<number> {
  const { host, restPort } = node.place;
  const text = await (await fetch(`http://${host}:${restPort}/metrics`, { signal: AbortSignal.timeout(2000) })).text();
  const found = /^regent_\w*rounds\w*(?:\{[^}]*\})? (\d+)/m.exec(text);
  if (found === null) throw new Error('the metrics do not count rounds');
  return Number(found[1]);
}
