/**
 * What a healthy cluster is, in the tests' own words: judged from outside, by REST and by SQL on
 * every node.
 */
import type { ClusterNode } from './cluster-node.ts';

interface MemberRow {
  readonly name: string;
  readonly role: string;
  readonly state: string;
  readonly timeline?: number;
  readonly lag?: number | string;
}

interface SyncValue {
  readonly leader: string | null;
  readonly quorum?: number;
  readonly sync_standby: string | null;
}

interface ServerRow {
  readonly in_recovery: boolean;
  readonly receiver: string | null;
  readonly received_tli: number | null;
  readonly streaming: number;
  readonly sync_names: string;
  readonly confirming: number;
}

const SERVER_QUERY = `select pg_is_in_recovery() as in_recovery,
  (select status from pg_stat_wal_receiver) as receiver,
  (select received_tli from pg_stat_wal_receiver) as received_tli,
  (select count(*)::int from pg_stat_replication where state = 'streaming') as streaming,
  (select count(*)::int from pg_stat_replication where sync_state in ('sync', 'quorum')) as confirming,
  current_setting('synchronous_standby_names') as sync_names`;

/**
 * One leader; every member running, streaming and on the leader's timeline; the synchronous set as
 * configured, in etcd and in PostgreSQL. Resolves to the leader's name, or to what is still
 * missing.
 */
export async function judgeHealth(
  nodes: readonly ClusterNode[],
  readKey: (key: string) => Promise<string | null>,
): Promise<{ readonly leader: string } | { readonly missing: string }> {
  const answers = await Promise.all(nodes.map((node) => node.rest('/primary')));
  const leaders = nodes.filter((_, i) => answers[i]?.status === 200);
  const leader = leaders[0];
  if (leader === undefined) return { missing: 'nobody answers /primary with 200' };
  if (leaders.length > 1) return { missing: `${leaders.map((node) => node.name).join(' and ')} both answer /primary with 200` };
  const [cluster, config] = await Promise.all([leader.rest('/cluster'), leader.rest('/config')]);
  const members = (cluster?.body?.['members'] ?? []) as MemberRow[];
  const standbys = nodes.length - 1;
  const confirming = confirmersOf(config?.body ?? {}, standbys);
  const wrong = judgeMembers(nodes, members, leader.name);
  if (wrong !== null) return { missing: wrong };
  const timeline = members.find((member) => member.name === leader.name)?.timeline ?? 0;
  const missing = await judgeServers(nodes, leader, timeline, confirming);
  if (missing !== null) return { missing };
  const sync = await readKey('sync');
  const unsynced = judgeSync(leader.name, sync === null ? null : (JSON.parse(sync) as SyncValue), config?.body ?? {}, standbys);
  return unsynced === null ? { leader: leader.name } : { missing: unsynced };
}

function judgeMembers(nodes: readonly ClusterNode[], members: readonly MemberRow[], leader: string): string | null {
  if (members.length !== nodes.length) return `/cluster lists ${members.length} members`;
  const timeline = members.find((member) => member.name === leader)?.timeline;
  for (const member of members) {
    const isLeader = member.name === leader;
    if ((member.role === 'leader') !== isLeader) return `/cluster shows ${member.name} as ${member.role}, and ${leader} answers /primary`;
    if (member.state !== (isLeader ? 'running' : 'streaming')) return `${member.name} is ${member.state}`;
    if (timeline === undefined || member.timeline !== timeline)
      return `${member.name} is on timeline ${member.timeline}, the leader on ${timeline}`;
  }
  return null;
}

/** How many walsenders should be synchronous. */
function confirmersOf(config: Record<string, unknown>, standbys: number): number {
  const mode = String(config['synchronous_mode'] ?? 'off');
  if (mode === 'quorum') return standbys;
  return mode === 'true' || mode === 'on' ? Math.min(standbys, Number(config['synchronous_node_count'] ?? 1)) : 0;
}

async function judgeServers(
  nodes: readonly ClusterNode[],
  leader: ClusterNode,
  timeline: number,
  confirming: number,
): Promise<string | null> {
  const rows = await Promise.all(nodes.map((node) => node.sql<ServerRow & Record<string, unknown>>(SERVER_QUERY).catch(() => null)));
  for (const [i, node] of nodes.entries()) {
    const row = rows[i]?.[0];
    if (row === undefined) return `PostgreSQL of ${node.name} does not answer`;
    if (node === leader) {
      if (row.in_recovery) return `${node.name} leads and is in recovery`;
      if (row.streaming !== nodes.length - 1) return `${row.streaming} standbys stream from ${node.name}`;
      if (row.confirming < confirming) return `${row.confirming} of ${confirming} confirm: synchronous_standby_names = ${row.sync_names}`;
      continue;
    }
    if (!row.in_recovery) return `${node.name} is writable and does not lead`;
    if (row.receiver !== 'streaming' || row.received_tli !== timeline)
      return `${node.name} receives ${row.receiver} on timeline ${row.received_tli}, the leader is on ${timeline}`;
  }
  return null;
}

/**
 * /sync must say what PostgreSQL does: a set that is still being changed is safe, but may not be
 * able to elect anybody.
 */
function judgeSync(leader: string, sync: SyncValue | null, config: Record<string, unknown>, standbys: number): string | null {
  const mode = String(config['synchronous_mode'] ?? 'off');
  if (mode === 'off' || mode === 'false') return null;
  const count = Math.min(standbys, Number(config['synchronous_node_count'] ?? 1));
  const names = (sync?.sync_standby ?? '').split(',').filter((name) => name !== '');
  const wanted = mode === 'quorum' ? { names: standbys, quorum: standbys - count } : { names: count, quorum: 0 };
  if (sync?.leader === leader && names.length === wanted.names && (sync.quorum ?? 0) === wanted.quorum) return null;
  return `/sync is ${JSON.stringify(sync)}`;
}

/** Member table, processes and the end of every log: what a failed wait is explained with. */
export async function describeCluster(nodes: readonly ClusterNode[]): Promise<string> {
  const blocks = await Promise.all(
    nodes.map(async (node) => {
      const [status, cluster] = await Promise.all([node.rest('/patroni'), node.rest('/cluster')]);
      const processes = `agent ${node.agentPid ?? 'none'}, guard ${node.guardPid ?? 'none'}, postmaster ${node.postmasterPid ?? 'none'}`;
      const members = ((cluster?.body?.['members'] ?? []) as MemberRow[])
        .map((member) => `${member.name} ${member.role} ${member.state} TL ${member.timeline} lag ${member.lag ?? '-'}`)
        .join('; ');
      const body = status?.body ?? null;
      const own =
        body === null ? 'REST does not answer' : `${body['role']} ${body['state']} TL ${body['timeline']} ${JSON.stringify(body['xlog'])}`;
      return `--- ${node.name}: ${processes}\n    ${own}\n    sees: ${members || 'nothing'}\n${node.tail()}`;
    }),
  );
  return blocks.join('\n');
}
