/** Networks that break: every node and every member of etcd is a host of its own. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { type EtcdCluster, startEtcd } from './support/etcd.ts';
import { mendAfterFailure } from './support/mend.ts';
import { TestNetwork, whyNoNetwork } from './support/network.ts';
import { PATIENT, undisturbed } from './support/siege.ts';
import { Witness } from './support/witness.ts';
import type { Writer } from './support/writer.ts';

const NODES = ['node1', 'node2', 'node3'];
const ETCDS = ['etcd0', 'etcd1', 'etcd2'];
const TTL_SECONDS = 5;
const SILENT = 'does not answer|cannot be reached';
const EXPIRED = 'its key in etcd has expired';

const obstacle = whyNoNetwork();
if (obstacle !== null) console.log(`the tests of partitions are skipped: ${obstacle}`);

let network: TestNetwork;
let etcd: EtcdCluster;
let cluster: Cluster;

beforeAll(async () => {
  if (obstacle !== null) return;
  network = new TestNetwork([...NODES, ...ETCDS]);
  etcd = await startEtcd({ host: (i) => network.address(`etcd${i}`), launcher: (i) => network.launcher(`etcd${i}`) });
  cluster = await startCluster({
    etcd,
    dynamic: { ttl: TTL_SECONDS },
    host: (name) => network.address(name),
    launcher: (name) => network.launcher(name),
  });
});

mendAfterFailure(() => cluster);
// Hooks of this kind run last first: the network is whole before the cluster is mended.
afterEach(() => network?.heal());

afterAll(async () => {
  await cluster?.close();
  await etcd?.close();
  network?.close();
});

const others = (node: ClusterNode) => cluster.others(node.name).map((other) => other.name);

/**
 * Breaks the network, and heals it; throws unless the cluster is healthy again and no two nodes
 * ever took writes at once.
 */
async function breaking(scenario: (leader: ClusterNode) => Promise<void>): Promise<string> {
  const leader = cluster.node(await cluster.waitHealthy());
  const witness = new Witness(cluster.nodes);
  try {
    await scenario(leader);
    network.heal();
    const last = await cluster.waitHealthy();
    await witness.verify();
    return last;
  } finally {
    await witness.stop();
  }
}

/**
 * Waits until another node takes writes; throws unless `old` had acknowledged its last one before.
 */
async function successorOf(old: ClusterNode, direct: Writer, any: Writer): Promise<string> {
  const first = await any.ack('on a successor', 40_000, (ack) => ack.node !== old.name);
  const lastOldMs = Math.max(...[...direct.acks, ...any.on(old.name)].map((ack) => ack.atMs));
  console.log(`last write on the old primary ${Math.round(first.atMs - lastOldMs)} ms before the first on the new`);
  expect(lastOldMs).toBeLessThan(first.atMs);
  return first.node;
}

/** What the operator sees of a node that was cut off: `unavailable`, and a warning. */
async function expectListed(lost: string, wanted: (endedAtMs: number) => string): Promise<void> {
  const [{ stdout }, health] = await Promise.all([cluster.ctl(['list']), cluster.ctl(['health', '--no-haproxy'])]);
  const why = wanted(performance.now());
  expect(stdout.match(/unavailable \|/g)).toHaveLength(1);
  expect(stdout).toMatch(new RegExp(`\\| ${lost} .*\\| unavailable \\|`));
  expect(stdout).toMatch(new RegExp(` ${lost} is unavailable: .*(${why})`));
  expect(health.code).toBe(1);
  expect(health.stdout).toMatch(new RegExp(`warning: ${lost} is unavailable: .*(${why})`));
}

describe.skipIf(obstacle !== null)('with a quorum that confirms commits', () => {
  test('a replica is cut off: it no longer counts, commits go on without it, and it comes back', async () => {
    const writers: Writer[] = [];
    let before = '';
    const last = await breaking(async (leader) => {
      before = leader.name;
      const [lost, left] = others(leader) as [string, string];
      const writer = cluster.writer(PATIENT);
      writers.push(writer);
      await writer.next();
      const cutAtMs = performance.now();
      network.unplug(lost);
      // Its key lasts as long as its lease, and a busy machine may need longer for the tools.
      const lasted = (endedAtMs: number) => endedAtMs < cutAtMs + (TTL_SECONDS - 2) * 1000;
      await expectListed(lost, (endedAtMs) => `${SILENT}${lasted(endedAtMs) ? '' : `|${EXPIRED}`}`);
      await cluster.until(`${lost} is no member any more`, 40_000, async () => {
        const members = (await leader.rest('/cluster'))?.body?.['members'] as ReadonlyArray<{ name: string }> | undefined;
        return members !== undefined && members.length === 2 && members.every((member) => member.name !== lost);
      });
      await expectListed(lost, () => EXPIRED);
      await cluster.until(
        'it no longer confirms',
        40_000,
        async () => JSON.parse((await cluster.key('sync')) ?? '{}').sync_standby === left,
      );
      await writer.next();
      undisturbed(writer, cutAtMs);
    });
    expect(last).toBe(before);
    await cluster.verify(...writers);
  });

  test('the leader reaches only one member of etcd: nothing happens', async () => {
    const writers: Writer[] = [];
    let before = '';
    const last = await breaking(async (leader) => {
      before = leader.name;
      const writer = cluster.writer(PATIENT);
      writers.push(writer);
      await writer.next();
      const cutAtMs = performance.now();
      const reached = (await etcd.leader()) === 0 ? 1 : 0;
      network.cut(leader.name, ...ETCDS.filter((_, i) => i !== reached));
      await writer.ack('past the lease', 20_000, (ack) => ack.atMs > cutAtMs + (TTL_SECONDS + 1) * 1000);
      undisturbed(writer, cutAtMs);
    });
    expect(last).toBe(before);
    await cluster.verify(...writers);
  });
});

describe.skipIf(obstacle !== null)('when only the lease keeps the old primary from acknowledging', () => {
  beforeAll(() => cluster.configure({ synchronous_mode: null }));

  test.each([
    ['hears nothing from etcd', (member: string, leader: string) => network.cutOneWay(member, leader)],
    ['is cut off from etcd', (member: string, leader: string) => network.cut(leader, member)],
  ])('the leader alone %s: another member carries its calls, and nothing happens', async (_, cut) => {
    const writers: Writer[] = [];
    let before = '';
    const last = await breaking(async (leader) => {
      before = leader.name;
      const writer = cluster.writer(PATIENT);
      writers.push(writer);
      await writer.next();
      const cutAtMs = performance.now();
      const told = leader.log().length;
      for (const member of ETCDS) cut(member, leader.name);
      await writer.ack('past three leases', 40_000, (ack) => ack.atMs > cutAtMs + 3 * TTL_SECONDS * 1000);
      undisturbed(writer, cutAtMs);
      expect(await cluster.waitForLeader()).toBe(before);
      expect(leader.log().slice(told)).toMatch(/etcd cannot be reached from here: \w+ carries the calls of this member/);
      network.heal();
      await cluster.until('the direct way is taken again', 20_000, () =>
        leader.log().slice(told).includes('etcd is reached directly again'),
      );
    });
    expect(last).toBe(before);
    await cluster.verify(...writers);
  });

  test('the leader loses its network, and a client beside it goes on writing', async () => {
    await breaking(async (old) => {
      const [direct, any] = [cluster.writer({ only: old.name, beside: true }), cluster.writer()];
      await Promise.all([direct.next(), any.next()]);
      network.unplug(old.name);
      await successorOf(old, direct, any);
      await Promise.all([direct.stop(), any.stop()]);
    });
  });

  test('the leader is cut off together with the member that leads etcd', async () => {
    await breaking(async (old) => {
      const minority = `etcd${await etcd.leader()}`;
      const [direct, any] = [cluster.writer({ only: old.name }), cluster.writer()];
      await Promise.all([direct.next(), any.next()]);
      const rest = [...others(old), ...ETCDS.filter((member) => member !== minority)];
      network.cut(old.name, ...rest);
      network.cut(minority, ...rest);
      await successorOf(old, direct, any);
      await Promise.all([direct.stop(), any.stop()]);
    });
  });
});
