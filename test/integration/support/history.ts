import type { Cluster } from './cluster.ts';

/** Why `leader` leads, as the history in etcd has it: the last change must name it. */
export function reasonOfLead(cluster: Cluster, leader: string): Promise<string> {
  return cluster.eventually('the history tells why it leads', 20_000, async () => {
    const rows = JSON.parse((await cluster.key('history')) ?? '[]') as readonly (readonly unknown[])[];
    const [, , reason, , name] = rows.at(-1) ?? [];
    return name === leader ? { value: String(reason) } : { missing: JSON.stringify(rows.at(-1)) };
  });
}
