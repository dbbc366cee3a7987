/** Networks that break: every node and every member of etcd is a host of its own. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { type EtcdCluster, startEtcd } from './support/etcd.ts';
import { TestNetwork, whyNoNetwork } from './support/network.ts';
import { Witness } from './support/witness.ts';
import type { Writer } from './support/writer.ts';

const NODES = ['node1', 'node2', 'node3'];
const ETCDS = ['etcd0', 'etcd1', 'etcd2'];
const TTL_SECONDS = 5;

const obstacle = whyNoNetwork();
if (obstacle !== null) console.log(`partition tests are skipped: ${obstacle}`);

let network: TestNetwork;
let etcd: EtcdCluster;
let cluster: Cluster;
let witness: Witness;

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

afterEach(() => network?.heal());

afterAll(async () => {
  await cluster?.close();
  await etcd?.close();
  network?.close();
});

/** Runs what breaks the network between two healthy states, with a witness that no two nodes ever took writes at once. */
async function breaking(scenario: (leader: ClusterNode) => Promise<readonly Writer[]>): Promise<void> {
  const leader = cluster.node(await cluster.waitHealthy());
  witness = new Witness(cluster.nodes);
  const writers = await scenario(leader);
  network.heal();
  await cluster.waitHealthy();
  await witness.verify();
  await cluster.verify(...writers);
}

/** Throws unless the last acknowledgement of `old` came before the first of any other node. */
function expectNoOverlap(old: ClusterNode, writers: readonly Writer[]): void {
  const acks = writers.flatMap((writer) => writer.acks);
  const lastOld = Math.max(...acks.filter((ack) => ack.node === old.name).map((ack) => ack.atMs));
  const firstNew = Math.min(...acks.filter((ack) => ack.node !== old.name).map((ack) => ack.atMs));
  expect(lastOld).toBeLessThan(firstNew);
}

describe.skipIf(obstacle !== null)('the network breaks', () => {
  test('all three members of etcd are reached by hosts that are not theirs', async () => {
    await cluster.waitHealthy();
  });

  test('the leader is cut off from etcd and its peers, and a client goes on writing straight to it', async () => {
    await breaking(async (old) => {
      const direct = cluster.writer({ only: old.name });
      const any = cluster.writer();
      await Promise.all([direct.next(5000), any.next(5000)]);
      network.cut(old.name, ...ETCDS, ...cluster.others(old.name).map((node) => node.name));
      await any.ack('on a successor', 20_000, (ack) => ack.node !== old.name);
      expectNoOverlap(old, [direct, any]);
      expect(witness.isPrimary(old.name)).toBe(false);
      return [direct, any];
    });
  });
});
