/**
 * Servers that do not let their agents in any more: what is promised is kept over connections from
 * before, by files and by signals.
 */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { codeOf } from '../../src/support/errors.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { mendAfterFailure } from './support/mend.ts';
import { PATIENT } from './support/siege.ts';

const TTL_S = 5;
/** SQLSTATE too_many_connections. */
const TOO_MANY_CONNECTIONS = '53300';
/** From a leader's death to the next one: its lease, and ten seconds. */
const LEADER_MS = (TTL_S + 10) * 1000;
/** Without an event that makes an agent try a new connection, it tries one every 15 s. */
const NOTICED_MS = 40_000;
const WITHOUT_AGENTS = ['host replication replicator 127.0.0.0/8 scram-sha-256', 'host all rewinder 127.0.0.0/8 scram-sha-256'];
const WITH_AGENTS = ['local all all scram-sha-256', 'host all all 127.0.0.0/8 scram-sha-256', ...WITHOUT_AGENTS];

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({
    dynamic: { ttl: TTL_S, postgresql: { pg_hba: WITH_AGENTS, parameters: { max_connections: 25 } } },
    local: () => ({ postgresql: { pg_hba: null } }),
  });
});
afterAll(() => cluster?.close());
mendAfterFailure(() => cluster);

const lockedOut = async (node: ClusterNode) => {
  const told = (await node.rest('/patroni'))?.body?.['regent'] as { readonly locked_out?: { readonly reason?: string } } | undefined;
  return told?.locked_out?.reason ?? '';
};
const count = (text: string, what: string) => text.split(what).length - 1;

/** The password that clients and this test use; the agents keep theirs. */
async function rotate(leader: ClusterNode, password: string): Promise<void> {
  await leader.sql(`alter role postgres password '${password}'`);
  for (const node of cluster.nodes) node.superuserPassword = password;
}

async function expectCritical(node: ClusterNode, reason: RegExp): Promise<void> {
  await cluster.until(`${node.name} tells of it`, NOTICED_MS, async () => reason.test(await lockedOut(node)));
  const critical = `critical: the agent of ${node.name} is locked out of its PostgreSQL: `;
  await cluster.eventually('health tells of it', NOTICED_MS, async () => {
    const { code, stdout } = await cluster.ctl(['health', '--no-haproxy']);
    const line = stdout.split('\n').find((one) => one.includes(critical));
    return code === 2 && reason.test(line ?? '') ? { value: line } : { missing: `${code}: ${stdout}` };
  });
}

async function expectSound(leader: string): Promise<void> {
  expect(await cluster.waitHealthy()).toBe(leader);
  await cluster.eventually('health finds nothing', NOTICED_MS, async () => {
    const health = await cluster.ctl(['health', '--no-haproxy']);
    return health.code === 0 ? { value: null } : { missing: health.stdout };
  });
}

test('a password changed before the files: the leader dies, another leads in time, and a switchover stops nothing', async () => {
  const old = cluster.node(await cluster.waitHealthy());
  const writer = cluster.writer();
  await writer.next();
  await rotate(old, 'rotated');
  const killedAtMs = performance.now();
  await old.killAll();
  const { node, atMs } = await writer.ack('on a successor', LEADER_MS, (ack) => ack.node !== old.name);
  console.log(`password changed, leader killed: the next acknowledged row after ${Math.round(atMs - killedAtMs)} ms`);
  const leader = cluster.node(node);
  await expectCritical(leader, /password authentication failed/);
  await cluster.until('list tells of it', NOTICED_MS, async () =>
    (await cluster.ctl(['list'])).stdout.includes(` The agent of ${node} is locked out of its PostgreSQL: `),
  );
  expect(count(leader.log(), 'the agent is locked out of PostgreSQL')).toBe(1);

  const [successor] = cluster.others(old.name, node);
  const before = [leader.postmasterPid, successor!.postmasterPid];
  const asked = await cluster.ctl(['switchover', '--leader', node, '--candidate', successor!.name, '--force']);
  expect(asked.stdout + asked.stderr).toMatch(/switchover is not possible: the agent is locked out|Switchover failed.*locked out/is);
  await cluster.until('no request is left', 20_000, async () => !((await cluster.key('failover')) ?? '').includes(node));
  expect(await cluster.waitForLeader()).toBe(node);
  expect([leader.postmasterPid, successor!.postmasterPid]).toEqual(before);

  await rotate(leader, 'postgres');
  old.start();
  await expectSound(node);
  await cluster.until('its log says so', 10_000, () => leader.log().includes('PostgreSQL lets the agent in again'));
  await cluster.verify(writer);
});

test('superusers have every connection: the leader lets dead standbys go', async () => {
  const leader = cluster.node(await cluster.waitHealthy());
  const writer = cluster.writer({ only: leader.name, ...PATIENT });
  await writer.next();
  const taken: pg.Client[] = [];
  try {
    await cluster.until('no connection is free', 30_000, async () => {
      for (;;) {
        const client = await leader.connect(10_000).catch((error: unknown) => error);
        if (!(client instanceof pg.Client)) return codeOf(client) === TOO_MANY_CONNECTIONS;
        taken.push(client);
      }
    });
    const killedAtMs = performance.now();
    for (const other of cluster.others(leader.name)) await other.killAll();
    const left = performance.now();
    const { atMs } = await writer.ack('without standbys', LEADER_MS, (ack) => ack.atMs > left + 100);
    console.log(`no connection free, both standbys killed: the next acknowledged row after ${Math.round(atMs - killedAtMs)} ms`);
    expect(await cluster.waitForLeader()).toBe(leader.name);
    await expectCritical(leader, /too many clients/);
  } finally {
    for (const client of taken) await client.end();
  }
  for (const other of cluster.others(leader.name)) other.start();
  await expectSound(leader.name);
  await cluster.verify(writer);
});

test('a pg_hba.conf without a line for the agent: another leads in time, and the former leader gets the corrected file', async () => {
  const old = cluster.node(await cluster.waitHealthy());
  const writer = cluster.writer();
  await writer.next();
  await cluster.configure({ postgresql: { pg_hba: WITHOUT_AGENTS } });
  for (const node of cluster.nodes)
    await cluster.until(`${node.name} lets no superuser in`, 30_000, () =>
      node.sql('select 1').then(
        () => false,
        () => true,
      ),
    );
  const killedAtMs = performance.now();
  await old.killAll();
  const successor = await cluster.waitForLeader({ not: old.name, timeoutMs: LEADER_MS });
  console.log(`pg_hba.conf without the agent, leader killed: another leads after ${Math.round(performance.now() - killedAtMs)} ms`);
  await expectCritical(cluster.node(successor), /pg_hba/);
  old.start();
  await expectCritical(old, /pg_hba/);
  const pid = old.postmasterPid;
  expect(await cluster.ctl(['restart', cluster.scope, old.name, '--force'])).toMatchObject({
    stdout: expect.stringContaining('Success: restart on member'),
  });
  await cluster.until('it was restarted', 20_000, () => old.postmasterPid !== null && old.postmasterPid !== pid);
  await cluster.configure({ postgresql: { pg_hba: WITH_AGENTS } });
  await expectSound(successor);
  await writer.ack('on the successor', 30_000, (ack) => ack.node === successor);
  await cluster.verify(writer);
});
