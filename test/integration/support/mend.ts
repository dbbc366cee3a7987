/**
 * A cluster that several tests share is made whole again after one that failed, so that the next
 * ones say something of what they are about. A test that passes leaves no work here.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach } from 'vitest';
import type { Cluster } from './cluster.ts';
import { configFile, reload } from './local-config.ts';

const WHOLE_MS = 90_000;

export interface Mendable {
  readonly cluster: Cluster;
  /** The agent of a node, which does not run. */
  start(name: string): void;
  waitHealthy(): Promise<unknown>;
}

const mendableOf = (cluster: Cluster): Mendable => ({
  cluster,
  start: (name) => cluster.node(name).start(),
  waitHealthy: () => cluster.waitHealthy(WHOLE_MS),
});

interface Kept {
  readonly files: ReadonlyMap<string, string>;
  readonly config: string | null;
}

/** Registers it for the tests of the file, or of the block in which it is called. */
export function mendAfterFailure(shared: () => Cluster | Mendable | undefined): void {
  let before: Kept | null = null;
  const mendable = () => {
    const found = shared();
    return found === undefined || !('etcd' in found) ? found : mendableOf(found);
  };
  beforeEach(async () => {
    const one = mendable();
    before = one === undefined ? null : await keep(one.cluster);
  });
  afterEach(async ({ task }) => {
    const one = mendable();
    if (task.result?.state === 'fail' && one !== undefined && before !== null) await mend(one, before);
  }, WHOLE_MS + 60_000);
}

async function keep(cluster: Cluster): Promise<Kept> {
  const files = new Map(cluster.nodes.map((node) => [node.name, readFileSync(configFile(node), 'utf8')]));
  return { files, config: await cluster.key('config') };
}

async function mend(one: Mendable, before: Kept): Promise<void> {
  const { cluster } = one;
  const { nodes, etcd } = cluster;
  for (const node of nodes) node.thawAll();
  for (const member of etcd.members) await member.thaw();
  await Promise.all(etcd.members.map((member) => (member.pid() === null ? member.restart() : undefined)));
  for (const node of nodes) writeFileSync(configFile(node), before.files.get(node.name)!);
  if (before.config !== null) await cluster.putKey('config', before.config);
  await cluster.putKey('failover', '{}');
  for (const node of nodes)
    if (node.agentPid === null) one.start(node.name);
    else reload(node);
  await one.waitHealthy();
}
