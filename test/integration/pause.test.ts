/**
 * Maintenance: automatic failover is off, and nothing is started, stopped or promoted that nobody
 * asked for. And what the callbacks of these members are told, in a pause and outside of it.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { findBinDir } from './support/bin-dir.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { reload } from './support/local-config.ts';
import { mendAfterFailure } from './support/mend.ts';
import { PATIENT, undisturbed } from './support/siege.ts';
import type { Writer } from './support/writer.ts';

const TTL_SECONDS = 4;

let cluster: Cluster;
beforeAll(async () => {
  const tell = `sh -c 'echo "$@" >> told' tell`;
  const callbacks = { on_start: tell, on_stop: tell, on_restart: tell, on_role_change: tell };
  const before_stop = `sh -c 'echo before_stop >> told; sleep 0.2; echo stops >> told'`;
  cluster = await startCluster({ dynamic: { ttl: TTL_SECONDS }, local: () => ({ postgresql: { callbacks, before_stop } }) });
  // A callback is not waited for.
  for (const node of cluster.nodes)
    await cluster.eventually(`${node.name} has told something`, 20_000, async () => {
      const [first] = readTold(node);
      if (first === undefined) return { missing: 'it has not' };
      begun.set(node.name, first);
      return { value: first };
    });
});
/** What each node told first. */
const begun = new Map<string, string>();
afterEach(() => cluster.ctl(['resume', '--wait']));
afterAll(() => cluster?.close());
mendAfterFailure(() => cluster);

async function pausedWithWriter(): Promise<{ readonly leader: ClusterNode; readonly writer: Writer }> {
  const leader = cluster.node(await cluster.waitHealthy());
  const writer = cluster.writer({ only: leader.name, ...PATIENT });
  await writer.next();
  const { code, stdout } = await cluster.ctl(['pause', '--wait']);
  expect(stdout).toContain('Success: cluster management is paused');
  expect(code).toBe(0);
  return { leader, writer };
}

async function resume(): Promise<void> {
  const { code, stdout } = await cluster.ctl(['resume', '--wait']);
  expect(stdout).toContain('Success: cluster management is resumed');
  expect(code).toBe(0);
}

/** The moment from which everything the old lease or the guard could still do has been done. */
const afterLease = () => performance.now() + (TTL_SECONDS + 1) * 1000;

describe('while paused', () => {
  test('an agent that is killed leaves PostgreSQL writable past its lease, and one that comes back leaves it alone', async () => {
    const { leader, writer } = await pausedWithWriter();
    expect((await cluster.ctl(['list'])).stdout).toContain('Maintenance mode: on');
    const server = leader.postmasterPid;
    const dueMs = afterLease();
    await leader.killAgent();
    await writer.ack('past the lease', 40_000, (ack) => ack.atMs > dueMs);
    leader.start();
    await cluster.until('it leads again', 30_000, async () => (await leader.rest('/primary'))?.status === 200);
    reload(leader);
    await resume();
    expect(await cluster.waitHealthy()).toBe(leader.name);
    expect(leader.postmasterPid).toBe(server);
    undisturbed(writer);
    await cluster.verify(writer);
  });

  test('an agent that is ended in good order leaves PostgreSQL running', async () => {
    const { leader, writer } = await pausedWithWriter();
    const server = leader.postmasterPid;
    const agent = leader.agentPid!;
    process.kill(agent, 'SIGTERM');
    await cluster.until('the agent is gone', 30_000, () => leader.agentPid === null);
    await writer.next();
    leader.start();
    await resume();
    expect(await cluster.waitHealthy()).toBe(leader.name);
    expect(leader.postmasterPid).toBe(server);
    await cluster.verify(writer);
  });

  test('all of etcd goes and comes back, and PostgreSQL never stops', async () => {
    const { leader, writer } = await pausedWithWriter();
    const server = leader.postmasterPid;
    const dueMs = afterLease();
    await Promise.all(cluster.etcd.members.map((member) => member.kill()));
    await writer.ack('past the lease', 40_000, (ack) => ack.atMs > dueMs);
    await Promise.all(cluster.etcd.members.map((member) => member.restart()));
    await resume();
    expect(await cluster.waitHealthy()).toBe(leader.name);
    expect(leader.postmasterPid).toBe(server);
    await cluster.verify(writer);
  });

  test('a primary that crashes stays down and no member takes over; resume heals', async () => {
    const { leader, writer } = await pausedWithWriter();
    await leader.killPostmaster();
    await keyIsGivenUp();
    const rounds = await Promise.all(cluster.nodes.map(roundsOf));
    await cluster.until('every agent has looked at that twice', 30_000, async () => {
      const now = await Promise.all(cluster.nodes.map(roundsOf));
      return now.every((count, i) => count >= rounds[i]! + 2);
    });
    expect(leader.postmasterPid).toBeNull();
    expect(await cluster.leader()).toBeNull();
    await resume();
    await cluster.waitHealthy();
    await cluster.verify(writer);
  });

  test('restart starts a server that is down: a replica as a replica, and the primary as the primary it was', async () => {
    const { leader, writer } = await pausedWithWriter();
    const replica = cluster.others(leader.name)[0]!;
    for (const node of [replica, leader]) {
      if (node === leader) await node.killPostmaster();
      else stopByHand(node);
      const state = node === leader ? 'crashed' : 'stopped';
      await cluster.until(
        `${node.name} is known as ${state}`,
        20_000,
        async () => (await node.rest('/patroni'))?.body?.['state'] === state,
      );
      await cluster.until(`its key says ${state}`, 20_000, async () => (await recordOf(node))['state'] === state);
      forget(node);
      if (node === leader) await keyIsGivenUp();
      expect(await cluster.ctl(['restart', cluster.scope, node.name, '--force'])).toMatchObject({
        code: 0,
        stdout: expect.stringContaining(`Success: restart on member ${node.name}`),
      });
      await told(node, 'the restart', [`on_restart ${node === leader ? 'primary' : 'replica'}`]);
    }
    expect(await cluster.waitForLeader()).toBe(leader.name);
    await writer.next();
    expect((await cluster.ctl(['list'])).stdout).toContain('Maintenance mode: on');
    await resume();
    expect(await cluster.waitHealthy()).toBe(leader.name);
    await cluster.verify(writer);
  });

  test('a switchover by name is carried out, the old primary follows, and a scheduled one is refused', async () => {
    const { leader, writer } = await pausedWithWriter();
    const candidate = cluster.others(leader.name)[0]!.name;
    const at = new Date(Date.now() + 60_000).toISOString();
    const scheduled = await cluster.ctl(['switchover', '--candidate', candidate, '--scheduled', at, '--force']);
    expect(scheduled.stderr).toContain("Can't schedule switchover in the paused state");
    const { stdout } = await cluster.ctl(['switchover', '--candidate', candidate, '--force']);
    expect(stdout).toContain(`Successfully switched over to "${candidate}"`);
    expect(await cluster.waitHealthy()).toBe(candidate);
    expect((await cluster.ctl(['list'])).stdout).toContain('Maintenance mode: on');
    await resume();
    expect(await cluster.waitHealthy()).toBe(candidate);
    await cluster.verify(writer);
  });
});

describe('callbacks', () => {
  test('of a new cluster began with on_start', () => {
    const firsts = cluster.nodes.map((node) => begun.get(node.name)).sort();
    expect(firsts).toEqual(['on_start primary itest', 'on_start replica itest', 'on_start replica itest']);
  });

  test('before_stop ends before the stop; a switchover, a crash, a new copy and the end of an agent are told in order', async () => {
    const leader = cluster.node(await cluster.waitHealthy());
    const [next, other] = cluster.others(leader.name) as [ClusterNode, ClusterNode];
    forget(...cluster.nodes);
    await cluster.ctl(['switchover', '--candidate', next.name, '--force']);
    expect(await cluster.waitHealthy()).toBe(next.name);
    await told(leader, 'the old leader', ['before_stop', 'stops', 'on_stop demoted', 'on_role_change replica']);
    await told(next, 'the new leader', ['on_role_change primary']);
    await next.killPostmaster();
    await told(next, 'the crash', ['on_start primary']);
    expect(await cluster.waitHealthy()).toBe(next.name);
    await cluster.ctl(['reinit', cluster.scope, leader.name, '--force', '--wait']);
    await told(leader, 'the copy', ['before_stop', 'stops', 'on_stop replica', 'on_start replica']);
    expect(readTold(other)).toEqual([]);
    await other.terminate();
    expect(await recordOf(other)).toMatchObject({ state: 'stopped', role: 'replica' });
    await told(other, 'the end of the agent', ['before_stop', 'stops', 'on_stop replica']);
    other.start();
    await cluster.waitHealthy();
    await told(other, 'the new agent', ['on_start replica']);
  });

  test('a leader that cannot start again is told as demoted, and as a replica once it was mended', async () => {
    const leader = cluster.node(await cluster.waitHealthy());
    forget(...cluster.nodes);
    const [wal, aside] = [join(leader.dataDir, 'pg_wal'), join(leader.place.directory, 'pg_wal.aside')];
    renameSync(wal, aside);
    try {
      await leader.killPostmaster();
      await told(leader, 'it gives up', ['on_role_change demoted']);
      const successor = cluster.node(await cluster.waitForLeader({ not: leader.name }));
      await told(successor, 'the successor', ['on_role_change primary']);
    } finally {
      renameSync(aside, wal);
    }
    await cluster.waitHealthy();
    await told(leader, 'it comes back', ['on_role_change replica']);
  });
});

const readTold = (node: ClusterNode): string[] => {
  const text = readFileSync(join(node.place.directory, 'told'), 'utf8').trim();
  return text === '' ? [] : text.split('\n');
};

/** The lines there must be, without the scope; then they are forgotten. */
async function told(node: ClusterNode, what: string, expected: readonly string[]): Promise<void> {
  await cluster.eventually(`${what} is told on ${node.name}`, 30_000, async () => {
    const lines = readTold(node).map((line) => line.replace(/ itest$/, ''));
    return JSON.stringify(lines) === JSON.stringify(expected) ? { value: true } : { missing: lines.join(', ') };
  });
  forget(node);
}

function forget(...nodes: readonly ClusterNode[]): void {
  for (const node of nodes) writeFileSync(join(node.place.directory, 'told'), '');
}

function stopByHand({ dataDir, place: { owner } }: ClusterNode): void {
  execFileSync(join(findBinDir(), 'pg_ctl'), ['stop', '-D', dataDir, '-m', 'fast', '-w'], { ...owner, cwd: '/', stdio: 'ignore' });
}

const recordOf = async (node: ClusterNode) =>
  JSON.parse((await cluster.key(`members/${node.name}`)) ?? '{}') as Readonly<Record<string, unknown>>;

const keyIsGivenUp = () => cluster.until('the leader key is given up', 20_000, async () => (await cluster.key('leader')) === null);

/** How many rounds the agent has made, by its own metrics. */
async function roundsOf(node: ClusterNode): Promise<number> {
  const { host, restPort } = node.place;
  const text = await (await fetch(`http://${host}:${restPort}/metrics`, { signal: AbortSignal.timeout(10_000) })).text();
  const found = /^regent_\w*rounds\w*(?:\{[^}]*\})? (\d+)/m.exec(text);
  if (found === null) throw new Error('the metrics do not count rounds');
  return Number(found[1]);
}
