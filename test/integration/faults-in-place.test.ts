/**
 * Faults that must not cost a ttl. It is 20 s here, so that nothing in this file can have waited
 * for it.
 */
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { reasonOfLead } from './support/history.ts';
import { mendAfterFailure } from './support/mend.ts';

/** Far below the ttl, far above what a busy machine takes. */
const AT_ONCE_MS = 12_000;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ dynamic: { ttl: 20, loop_wait: 2, retry_timeout: 5 } });
});
afterAll(() => cluster?.close());
mendAfterFailure(() => cluster);

async function timelineOf(node: ClusterNode): Promise<unknown> {
  return (await node.answer('/patroni')).body?.['timeline'];
}

describe('the postmaster is killed', () => {
  test('it is started again in place: same leader, same timeline', async () => {
    await cluster.configure({ primary_start_timeout: 300 });
    const leader = cluster.node(await cluster.waitHealthy());
    const timeline = await timelineOf(leader);
    const pid = leader.postmasterPid;
    const writer = cluster.writer();
    await writer.next();
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

  test('the kernel kills a backend because memory is short: PostgreSQL restarts by itself, and the leader stays', async () => {
    const leader = cluster.node(await cluster.waitHealthy());
    const timeline = await timelineOf(leader);
    const writer = cluster.writer();
    await writer.next();
    const victim = await leader.connect();
    const { rows } = await victim.query<{ pid: number }>('select pg_backend_pid() as pid');
    const killedAtMs = performance.now();
    process.kill(rows[0]!.pid, 'SIGKILL');
    await victim.end().catch(() => undefined);
    await writer.ack('after the crash', AT_ONCE_MS, (ack) => ack.atMs > killedAtMs + 20 && writer.errors.length > 0);
    expect(await cluster.waitHealthy()).toBe(leader.name);
    expect(await timelineOf(leader)).toBe(timeline);
    await cluster.verify(writer);
  });

  test('with primary_start_timeout 0 another leads at once', async () => {
    const old = cluster.node(await cluster.waitHealthy());
    await cluster.configure({ primary_start_timeout: 0 });
    const writer = cluster.writer();
    await writer.next();
    const killedAtMs = performance.now();
    await old.killPostmaster();
    const first = await writer.ack('on another node', AT_ONCE_MS, (ack) => ack.node !== old.name);
    expect(await cluster.waitHealthy()).toBe(first.node);
    await cluster.verify(writer);
    console.log(`postmaster killed, primary_start_timeout 0: ${Math.round(first.atMs - killedAtMs)} ms without a write`);
  });
});

describe('ALTER SYSTEM of settings that Regent decides on', () => {
  test('for synchronous standbys and a replica’s source is undone and logged', async () => {
    const leader = cluster.node(await cluster.waitHealthy());
    const [replica] = cluster.others(leader.name);
    const names = async () => (await leader.sql('show synchronous_standby_names'))[0];
    const before = await names();
    await leader.sql("alter system set synchronous_standby_names = ''");
    await leader.sql('select pg_reload_conf()');
    await replica!.sql("alter system set primary_conninfo = 'host=127.0.0.1 port=1'");
    await replica!.sql('select pg_reload_conf()');
    for (const node of [leader, replica!])
      await cluster.until(`${node.name} says so`, AT_ONCE_MS, () => node.log().includes('were taken out of postgresql.auto.conf'));
    expect(await cluster.waitHealthy()).toBe(leader.name);
    await cluster.until('the names are as before', AT_ONCE_MS, async () => isDeepStrictEqual(await names(), before));
  });
});

describe('the last commits lie on one replica only', () => {
  test('an agent tells the others its present position, not that of its last round', async () => {
    const leader = cluster.node(await cluster.waitHealthy());
    const [replica] = cluster.others(leader.name);
    for (let i = 0; i < 3; i++) {
      const rows = await leader.sql<{ at: string }>(
        "select pg_logical_emit_message(false, 'test', repeat('x', 1000)) - '0/0'::pg_lsn as at",
      );
      await cluster.until('the replica has received it', 20_000, async () => {
        const [row] = await replica!.sql<{ at: string }>("select pg_last_wal_receive_lsn() - '0/0'::pg_lsn as at");
        return Number(row?.at) >= Number(rows[0]?.at);
      });
      const told = (await replica!.answer('/patroni')).body?.['xlog'] as { received_location?: number } | undefined;
      expect(told?.received_location).toBeGreaterThanOrEqual(Number(rows[0]?.at));
    }
  });

  test('the other, whose receiver stands still, does not take the lead', async () => {
    const old = cluster.node(await cluster.waitHealthy());
    const [behind, ahead] = cluster.others(old.name);
    await cluster.configure({ primary_start_timeout: 0 });
    const writer = cluster.writer();
    await writer.next();
    const receiver = behind!.childOfPostmaster('walreceiver');
    await behind!.freezePart(receiver);
    try {
      await writer.next();
      await old.killPostmaster();
      expect(await cluster.waitForLeader({ not: old.name })).toBe(ahead!.name);
    } finally {
      process.kill(receiver, 'SIGCONT');
    }
    expect(await cluster.waitHealthy()).toBe(ahead!.name);
    await cluster.verify(writer);
  });
});

describe('SIGTERM of the leader', () => {
  test('hands over at once and leaves nothing behind', async () => {
    const old = cluster.node(await cluster.waitHealthy());
    const writer = cluster.writer();
    await writer.next();
    const sinceMs = performance.now();
    const ended = old.terminate();
    const first = await writer.ack('on another node', AT_ONCE_MS, (ack) => ack.node !== old.name);
    expect(await ended).toBe(0);
    const gapMs = writer.longestGapMs(sinceMs);
    old.start();
    expect(await cluster.waitHealthy()).toBe(first.node);
    expect(await reasonOfLead(cluster, first.node)).toBe(`failover: ${old.name} gave up the lead: its agent was told to end`);
    await cluster.verify(writer);
    console.log(`SIGTERM of the leader: ${Math.round(gapMs)} ms without a write`);
  });
});
