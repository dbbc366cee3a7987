/** What the nodes have, beside what the clients were told. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../test/integration/support/cluster.ts';
import type { ClusterNode } from '../test/integration/support/cluster-node.ts';

const QUERY_MS = 120_000;
const REPLAY_MS = 30_000;
const POLL_MS = 50;
const NAMED_MAX = 5;

/** Of those numbers, the ones that are no rows of the node. */
export async function missingOn(node: ClusterNode, ids: readonly number[]): Promise<number[]> {
  if (ids.length === 0) return [];
  const text = `select told.id from unnest('{${ids.join(',')}}'::bigint[]) as told (id)
    where not exists (select from chaos where chaos.id = told.id)`;
  return (await node.sql<{ id: string }>(text, QUERY_MS)).map(({ id }) => Number(id));
}

const rowsOf = async (node: ClusterNode) =>
  new Set((await node.sql<{ id: string }>('select id from chaos', QUERY_MS)).map(({ id }) => Number(id)));

async function replayed(cluster: Cluster, leader: ClusterNode): Promise<void> {
  const [row] = await leader.sql<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn');
  for (const node of cluster.others(leader.name)) {
    for (const end = performance.now() + REPLAY_MS; ; await sleep(POLL_MS)) {
      const [here] = await node.sql<{ there: boolean }>(`select pg_last_wal_replay_lsn() >= '${row!.lsn}' as there`);
      if (here?.there === true) break;
      if (performance.now() > end) throw new Error(`${node.name} has not replayed ${row!.lsn} within ${REPLAY_MS / 1000} s`);
    }
  }
}

const some = (ids: readonly number[]) => `${ids.length} (${ids.slice(0, NAMED_MAX).join(', ')}${ids.length > NAMED_MAX ? ', ...' : ''})`;

export interface Told {
  readonly acknowledged: readonly number[];
  readonly refused: readonly number[];
}

export interface Findings {
  /** Acknowledged and not on the leader. */
  readonly lost: readonly number[];
  /** What else is wrong, in words. */
  readonly wrong: readonly string[];
}

/** Once nobody writes any more. Throws when a node does not answer or does not catch up. */
export async function compareRows(cluster: Cluster, leaderName: string, { acknowledged, refused }: Told): Promise<Findings> {
  const leader = cluster.node(leaderName);
  await replayed(cluster, leader);
  const onLeader = await rowsOf(leader);
  const wrong: string[] = [];
  const there = refused.filter((id) => onLeader.has(id));
  if (there.length > 0) wrong.push(`refused writes are rows nevertheless: ${some(there)}`);
  for (const node of cluster.others(leaderName)) {
    const here = await rowsOf(node);
    const less = [...onLeader].filter((id) => !here.has(id));
    const more = [...here].filter((id) => !onLeader.has(id));
    if (less.length > 0) wrong.push(`${node.name} lacks rows of ${leaderName}: ${some(less)}`);
    if (more.length > 0) wrong.push(`${node.name} has rows that ${leaderName} lacks: ${some(more)}`);
  }
  return { lost: acknowledged.filter((id) => !onLeader.has(id)), wrong };
}
