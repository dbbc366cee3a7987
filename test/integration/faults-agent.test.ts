/**
 * The agent is gone or stands still while its PostgreSQL goes on, and clients write straight to it.
 * Replication is asynchronous at first, so that nothing but the lease and the guard keeps the old
 * primary from acknowledging.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { receiveNotifications } from '../support/notify-receiver.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { reasonOfLead } from './support/history.ts';
import { reload } from './support/local-config.ts';
import { mendAfterFailure } from './support/mend.ts';
import { agentRestartsUnnoticed, besiege, PATIENT, undisturbed } from './support/siege.ts';

const TTL_SECONDS = 5;

/** What systemd gives the agent of a member. */
const notifies = new Map<string, readonly string[]>();
let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({
    dynamic: { ttl: TTL_SECONDS, synchronous_mode: null },
    command: (name, regent) => {
      const variables = notifies.get(name);
      return variables === undefined ? regent : ['env', ...variables, 'perl', join(dirname(regent[1]!), 'launch.pl'), ...regent];
    },
  });
});
afterAll(() => cluster?.close());
mendAfterFailure(() => cluster);

/** That it was before another took writes, the writers have to tell. */
const isDown = (node: ClusterNode) => cluster.until(`PostgreSQL of ${node.name} has ended`, 10_000, () => node.postmasterPid === null);

describe('the leader’s agent is killed', () => {
  test('and restarted in time: PostgreSQL and its clients are not touched', async () => {
    await agentRestartsUnnoticed(cluster, cluster.node(await cluster.waitHealthy()), TTL_SECONDS);
  });

  test('for good: the guard stops PostgreSQL before another node is primary', async () => {
    const siege = await besiege(cluster);
    const { old } = siege;
    await old.killAgent();
    const successor = await siege.successor();
    await isDown(old);
    expect(await reasonOfLead(cluster, successor)).toBe(`failover: the leader key of ${old.name} expired, and it does not answer`);
    old.start();
    expect(await cluster.waitHealthy()).toBe(successor);
    await siege.noOverlap();
  });
});

describe('the leader’s guard is killed', () => {
  test('and replaced, and then the agent is restarted: PostgreSQL and its clients are not touched', async () => {
    const leader = cluster.node(await cluster.waitHealthy());
    const pid = leader.postmasterPid;
    const writer = cluster.writer({ only: leader.name, ...PATIENT });
    await writer.next();
    const killed = await leader.killGuard();
    await cluster.until('another guard', 20_000, async () => leader.guardPid !== null && leader.guardPid !== killed);
    await writer.next();
    await writer.stop();
    undisturbed(writer);
    await agentRestartsUnnoticed(cluster, leader, TTL_SECONDS);
    expect(leader.postmasterPid).toBe(pid);
  });

  test('together with its agent: the kernel stops PostgreSQL at once', async () => {
    const siege = await besiege(cluster);
    const { old } = siege;
    const writer = siege.writers[cluster.nodes.indexOf(old)]!;
    await old.killGuardAndAgent();
    const killedAtMs = performance.now();
    await siege.successor();
    await isDown(old);
    const last = writer.on(old.name).at(-1)!.atMs - killedAtMs;
    console.log(`last write on the old primary ${Math.round(last)} ms after its guard and agent were killed`);
    // Before the lease is over nobody else would.
    expect(last).toBeLessThan((TTL_SECONDS - 1) * 1000);
    old.start();
    await cluster.waitHealthy();
    await siege.noOverlap();
  });
});

test('a replica whose PostgreSQL is frozen is not shown as running', async () => {
  const leader = await cluster.waitHealthy();
  const replica = cluster.others(leader)[0]!;
  const pid = replica.postmasterPid!;
  const row = new RegExp(`\\| ${replica.name} +\\|[^|]+\\| Replica +\\| unknown +\\|`);
  process.kill(pid, 'SIGSTOP');
  try {
    const why = ` The PostgreSQL of ${replica.name} does not answer its agent`;
    await cluster.eventually('list shows it, and why', 40_000, async () => {
      const { stdout } = await cluster.ctl(['list']);
      return row.test(stdout) && stdout.includes(why) ? { value: true } : { missing: stdout };
    });
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  expect(await cluster.waitHealthy()).toBe(leader);
});

describe('the leader’s agent is frozen', () => {
  test('the guard stops PostgreSQL before another node is primary; thawed, the node joins as a replica', async () => {
    const siege = await besiege(cluster);
    const { old } = siege;
    const pid = old.agentPid;
    await old.freezeAgent();
    const askedAtMs = performance.now();
    const listed = cluster.ctl(['list']).then(({ stdout }) => ({ stdout, tookMs: performance.now() - askedAtMs }));
    const successor = await siege.successor();
    await isDown(old);
    const { stdout, tookMs } = await listed;
    // On a busy machine the tool may have begun when the key of the node was gone with its lease.
    const lasted = tookMs < (TTL_SECONDS - 1) * 1000;
    const why = `.* accepts the connection and sends nothing for 2 seconds${lasted ? '' : '|its key in etcd has expired'}`;
    expect(stdout).toMatch(new RegExp(` ${old.name} is unavailable: (${why})`));
    old.thawAgent();
    expect(await cluster.waitHealthy()).toBe(successor);
    expect(old.agentPid).toBe(pid);
    await siege.noOverlap();
  });

  test('and its guard with it, and the other replica’s after its answer: no acknowledged commit is lost', async () => {
    await cluster.configure({ synchronous_mode: 'quorum' });
    const siege = await besiege(cluster);
    const { old } = siege;
    const offsets = new Map(cluster.nodes.map((node) => [node, node.log().length]));
    await old.freezeGuard();
    await old.freezeAgent();
    // The old primary runs on without anybody to stop it. The replica that stays one is frozen as
    // soon as the other has the key: both may have wanted it.
    const winner = await cluster.eventually(
      'a replica has the lead',
      40_000,
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
    await cluster.until('it is open for writes', 30_000, async () => {
      const [row] = await winner.sql<{ open: boolean }>('select not pg_is_in_recovery() as open');
      return row?.open === true;
    });
    const openSinceMs = performance.now();
    const late = siege.writers[cluster.nodes.indexOf(old)]!.ack('on the old primary', 500, (ack) => ack.atMs > openSinceMs);
    await expect(late).rejects.toThrow('no acknowledged write');
    other.thawAgent();
    await siege.successor();
    old.thawGuard();
    old.thawAgent();
    expect(await cluster.waitHealthy()).toBe(winner.name);
    await siege.noOverlap();
    await cluster.verify(...siege.writers);
  });
});

test('systemd is told: ready, alive, reloading, stopping; and PostgreSQL does not have its socket', async () => {
  const leader = await cluster.waitHealthy();
  const replica = cluster.others(leader)[0]!;
  const socket = `@regent-${cluster.scope}-${process.pid}`;
  const told = await receiveNotifications(socket);
  notifies.set(replica.name, [`NOTIFY_SOCKET=${socket}`, 'WATCHDOG_USEC=1000000']);
  try {
    await replica.terminate();
    replica.start();
    const { pid } = await told.next(/^READY=1$/);
    expect(pid).toBe(replica.agentPid);
    await cluster.waitHealthy();
    expect(readFileSync(`/proc/${replica.postmasterPid}/environ`, 'utf8')).not.toMatch(/NOTIFY_SOCKET|WATCHDOG_USEC|REGENT_/);
    await told.next(/^WATCHDOG=1$/);
    reload(replica);
    await told.next(/^RELOADING=1\nMONOTONIC_USEC=\d+$/);
    await told.next(/^READY=1$/);
    await replica.terminate();
    expect(await told.next(/^STOPPING=1$/)).toMatchObject({ pid });
    expect(told.rest()).not.toContain('READY=1');
  } finally {
    told.close();
    notifies.clear();
  }
});
