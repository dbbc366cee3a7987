/**
 * Failsafe mode, where no standby has to confirm a commit: all of etcd is stopped under a writing
 * client, in a cluster of Regent's and in one with Patroni.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { type EtcdCluster, startEtcd } from './support/etcd.ts';
import { mendAfterFailure } from './support/mend.ts';
import { type MixedCluster, patroniVersion, startMixed } from './support/patroni.ts';
import { PATIENT, undisturbed } from './support/siege.ts';

const TTL_SECONDS = 5;
/** Where an agent is restarted meanwhile: a busy machine takes seconds for that. */
const LONG_TTL_SECONDS = 8;

const stop = (etcd: EtcdCluster) => Promise.all(etcd.members.map((member) => member.kill()));
const restart = (etcd: EtcdCluster) => Promise.all(etcd.members.map((member) => member.restart()));

const active = async (node: ClusterNode) => (await node.rest('/patroni'))?.body?.['failsafe_mode_is_active'];

const everybodySaysSo = async (cluster: Cluster): Promise<void> => {
  for (const node of cluster.nodes)
    await cluster.until(`${node.name} says that failsafe mode is active`, 20_000, async () => (await active(node)) === true);
};

/** The map names all that there are. */
const mapped = (cluster: Cluster) =>
  cluster.until('all members are in the failsafe map', 30_000, async () => {
    const map = JSON.parse((await cluster.key('failsafe')) ?? '{}');
    return Object.keys(map).sort().join() === cluster.nodes.map(({ name }) => name).join();
  });

/** Etcd is stopped for two leases and more, and the leader answers every write. */
async function leadsOn(cluster: Cluster, leader: ClusterNode, ttlSeconds: number, meanwhile: () => Promise<void>): Promise<void> {
  const leases = (count: number) => count * ttlSeconds * 1000;
  await mapped(cluster);
  const writer = cluster.writer(PATIENT);
  const postmaster = leader.postmasterPid;
  await writer.next();
  await stop(cluster.etcd);
  const stoppedAtMs = performance.now();
  await writer.ack('past one lease', 60_000, ({ atMs }) => atMs > stoppedAtMs + leases(1.25));
  await meanwhile();
  await writer.ack('past two leases', 60_000, ({ atMs }) => atMs > stoppedAtMs + leases(2.25));
  await restart(cluster.etcd);
  const restartedAtMs = performance.now();
  await writer.ack('one lease later', 60_000, ({ atMs }) => atMs > restartedAtMs + leases(1.25));
  undisturbed(writer, stoppedAtMs);
  expect(leader.postmasterPid).toBe(postmaster);
  expect(await cluster.waitForLeader()).toBe(leader.name);
  await writer.stop();
  await cluster.verify(writer);
}

describe('in a cluster of Regent’s, all of etcd is stopped', () => {
  let etcd: EtcdCluster;
  let cluster: Cluster;
  beforeAll(async () => {
    etcd = await startEtcd();
    cluster = await startCluster({ etcd, dynamic: { ttl: LONG_TTL_SECONDS, synchronous_mode: 'off', failsafe_mode: true } });
  });
  afterAll(async () => {
    await cluster?.close();
    await etcd?.close();
  });

  mendAfterFailure(() => cluster);

  const others = (node: ClusterNode) => cluster.others(node.name);
  const whole = async () => cluster.node(await cluster.waitHealthy());

  test('and the leader goes on, every member says so, and an agent that is restarted agrees as before', async () => {
    const leader = await whole();
    const [one] = others(leader);
    await leadsOn(cluster, leader, LONG_TTL_SECONDS, async () => {
      await everybodySaysSo(cluster);
      expect((await leader.answer('/primary')).status).toBe(200);
      expect((await one!.answer('/readiness')).status).toBe(200);
      const map = (await one!.answer('/failsafe')).body ?? {};
      expect(Object.keys(map).sort()).toEqual(cluster.nodes.map(({ name }) => name));
      await one!.killAgent();
      one!.start();
      await cluster.until('its agent agrees again', 40_000, async () => (await active(one!)) === true);
    });
    await cluster.until('nobody needs it any more', 30_000, async () => (await active(leader)) === undefined);
  });

  test('and one member does not answer: the leader steps down, and leads again when etcd is back', async () => {
    const leader = await whole();
    await mapped(cluster);
    const [one] = others(leader);
    const writer = cluster.writer();
    await writer.next();
    await stop(etcd);
    await one!.killAgent();
    // The connection may be reset under the question.
    const isStandby = async () => (await leader.sql('select pg_is_in_recovery() as yes').catch(() => []))[0]?.['yes'] === true;
    await cluster.until('the leader steps down', 3 * LONG_TTL_SECONDS * 1000, isStandby);
    const why = new RegExp(`not every member agrees .*${one!.name}`);
    await cluster.until('its log says why', 10_000, () => why.test(leader.log()));
    await restart(etcd);
    one!.start();
    expect(await cluster.waitHealthy()).toBe(leader.name);
    await writer.stop();
  });
});

const version = patroniVersion();

describe.skipIf(version === null)(`beside Patroni ${version ?? '(not installed: skipped)'}, all of etcd is stopped`, () => {
  let mixed: MixedCluster;
  beforeAll(async () => {
    mixed = await startMixed({ programs: ['regent', 'patroni', 'regent'], dynamic: { ttl: TTL_SECONDS, failsafe_mode: true } });
  });
  afterAll(() => mixed?.close());
  mendAfterFailure(() => mixed);

  test('and a leader that runs Regent goes on, as a member that runs Patroni agrees', async () => {
    await mixed.waitHealthy('node1');
    await leadsOn(mixed.cluster, mixed.node('node1'), TTL_SECONDS, () => everybodySaysSo(mixed.cluster));
    await mixed.waitHealthy('node1');
  });

  test('and a leader that runs Patroni goes on, as members that run Regent agree', async () => {
    const { stdout, stderr } = await mixed.regentctl(['switchover', 'itest', '--leader', 'node1', '--candidate', 'node2', '--force']);
    expect(stdout, stderr).toContain('Successfully switched over to "node2"');
    await mixed.waitHealthy('node2');
    await leadsOn(mixed.cluster, mixed.node('node2'), TTL_SECONDS, () => everybodySaysSo(mixed.cluster));
    await mixed.waitHealthy('node2');
  });
});
