/**
 * A standby cluster of Regent and Patroni: either follows the other, leads, and hands back; the
 * real patronictl makes it a cluster of its own and a standby cluster again.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { INSTALLED } from '../../tools/suite/releases/find.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { MixedCluster, patroniVersion } from './support/patroni.ts';

const version = patroniVersion();

describe.skipIf(version === null)(`a standby cluster with Patroni ${version ?? '(not installed: skipped)'}`, () => {
  let main: Cluster;
  let other: Cluster;
  let mixed: MixedCluster;
  let ours: ClusterNode;
  let theirs: ClusterNode;
  beforeAll(async () => {
    const timing = { synchronous_mode: null, ttl: 5, loop_wait: 1, retry_timeout: 2 };
    main = await startCluster({ nodes: 1, dynamic: timing });
    const followed = { host: '127.0.0.1', port: main.nodes[0]!.place.postgresPort };
    other = await startCluster({
      nodes: 2,
      start: false,
      dynamic: { ...timing, standby_cluster: followed },
      command: (name, regent, file) => (name === 'node2' ? [...INSTALLED.patroni, file] : regent),
    });
    mixed = new MixedCluster(other, new Map([['node1', 'regent'] as const, ['node2', 'patroni'] as const]), INSTALLED);
    [ours, theirs] = other.nodes as [ClusterNode, ClusterNode];
  });
  afterAll(async () => {
    await other?.close();
    await main?.close();
  });

  const answers = (node: ClusterNode, path: string) =>
    other.until(`${node.name} answers ${path}`, 60_000, async () => (await node.rest(path))?.status === 200);
  const follows = (node: ClusterNode, source: ClusterNode) =>
    other.until(`${node.name} follows ${source.name}`, 40_000, async () => {
      const [receiver] = await node.sql('select sender_port from pg_stat_wal_receiver').catch(() => []);
      return receiver?.['sender_port'] === source.place.postgresPort;
    });

  async function change(...pairs: readonly string[]): Promise<void> {
    const sets = pairs.flatMap((pair) => ['-s', pair]);
    const { stdout, stderr } = await mixed.patronictl(['edit-config', 'itest', ...sets, '--force']);
    expect(stdout, stderr).toContain('Configuration changed');
  }

  test('Patroni follows a Regent standby leader, leads in its turn, and hands back', async () => {
    ours.start();
    await answers(ours, '/standby_leader');
    theirs.start();
    await answers(theirs, '/replica');
    await follows(theirs, ours);
    expect((await other.ctl(['switchover', '--force', '--candidate', 'node2'])).code).toBe(0);
    await answers(theirs, '/standby_leader');
    await follows(ours, theirs);
    await follows(theirs, main.nodes[0]!);
    await answers(ours, '/replica');
    expect((await other.ctl(['switchover', '--force', '--candidate', 'node1'])).code).toBe(0);
    await answers(ours, '/standby_leader');
    await follows(theirs, ours);
  });

  test('patronictl makes it a cluster of its own, and a standby cluster again', async () => {
    await change('standby_cluster=null');
    await answers(ours, '/primary');
    await ours.sql('create table of_its_own ()');
    await change('standby_cluster.host=127.0.0.1', `standby_cluster.port=${main.nodes[0]!.place.postgresPort}`);
    await answers(ours, '/standby_leader');
    await follows(ours, main.nodes[0]!);
    expect(await ours.sql("select to_regclass('of_its_own') as kept")).toEqual([{ kept: null }]);
    await follows(theirs, ours);
  });
});
