/**
 * etcd in ways that take no member away: without room, with other credentials, another one at an
 * address, another one for good.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { type EtcdCluster, startEtcd } from './support/etcd.ts';
import { etcdctl } from './support/etcd-client.ts';

const TTL_SECONDS = 5;
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const REFUSED = 'is not used, because it is another one';

/** Advertises the stranger's address, as etcd advertises localhost by default. */
let main: EtcdCluster;
let stranger: EtcdCluster;
let successor: EtcdCluster;
let cluster: Cluster;
let node: ClusterNode;

beforeAll(async () => {
  [stranger, successor] = await Promise.all([startEtcd({ members: 1 }), startEtcd({ members: 1 })]);
  const [address] = stranger.endpoints;
  main = await startEtcd({ members: 1, extraArguments: ['--advertise-client-urls', address!, '--quota-backend-bytes', '4000000'] });
  const hosts = [main, successor].map(({ endpoints }) => endpoints[0]!.replace('http://', ''));
  cluster = await startCluster({
    nodes: 1,
    etcd: main,
    dynamic: { ttl: TTL_SECONDS, synchronous_mode: null },
    local: () => ({ etcd3: { hosts, username: 'regent', password: 'first-one' } }),
  });
  node = cluster.nodes[0]!;
});
afterAll(async () => {
  await cluster?.close();
  await Promise.all([main, stranger, successor].map((etcd) => etcd?.close()));
});

const said = (text: string) => node.log().split(text).length - 1;
const isOpen = async () => (await node.sql<{ open: boolean }>('select not pg_is_in_recovery() as open'))[0]?.open === true;
const isPrimary = async () => (await node.rest('/primary'))?.status === 200;
const keysIn = (etcd: EtcdCluster) => etcdctl(etcd, 'get', '--prefix', '/', '--keys-only').trim();
/** It leads, on the same postmaster, past every lease from before. */
async function leadsOn(postmaster: number | null): Promise<void> {
  const endAtMs = performance.now() + (TTL_SECONDS + 2) * 1000;
  while (performance.now() < endAtMs) {
    expect(await isOpen()).toBe(true);
    await delay(200);
  }
  await cluster.until('it is the primary', 20_000, isPrimary);
  expect(node.postmasterPid).toBe(postmaster);
}

/**
 * Writes until etcd reports that it is full. On a busy disk a write may end by its deadline without
 * that, so the alarm decides, not the first error.
 */
async function fill(etcd: EtcdCluster): Promise<void> {
  const value = 'x'.repeat(1_000_000);
  const endAtMs = performance.now() + 60_000;
  let answer = '';
  for (let i = 0; !etcdctl(etcd, 'alarm', 'list').includes('NOSPACE'); i++) {
    if (performance.now() > endAtMs) throw new Error(`etcd did not become full, and said last: ${answer}`);
    const { stderr } = spawnSync('etcdctl', ['--endpoints', etcd.endpoints[0]!, 'put', `fill${i}`], {
      input: value,
      encoding: 'utf8',
      env: { ...process.env, ETCDCTL_API: '3' },
    });
    answer = stderr.trim();
    await delay(0);
  }
}

function makeRoom(etcd: EtcdCluster): void {
  const revision = (JSON.parse(etcdctl(etcd, 'get', 'x', '-w', 'json')) as { header: { revision: number } }).header.revision;
  etcdctl(etcd, 'del', '--prefix', 'fill');
  etcdctl(etcd, 'compact', String(revision + 1));
  etcdctl(etcd, 'defrag');
  etcdctl(etcd, 'alarm', 'disarm');
}

test('etcd without room: a restarted agent leads on by the old lease, and health is critical', async () => {
  const { postmasterPid } = node;
  await fill(main);
  try {
    await node.killAgent();
    node.start();
    await cluster.until('the agent is back and leads', 30_000, async () => said('leads on by the leader key') === 1 && (await isPrimary()));
    await leadsOn(postmasterPid);
    const health = await cluster.ctl(['health', '--no-haproxy']);
    expect(health.stdout).toContain('critical: etcd takes no writes (alarm NOSPACE)');
    expect(health.code).toBe(2);
  } finally {
    makeRoom(main);
  }
  await cluster.waitHealthy();
  expect(node.postmasterPid).toBe(postmasterPid);
});

test('credentials changed in etcd, then in the file, then reload: taken over', async () => {
  const { postmasterPid } = node;
  const root = ['--user', 'root:root'];
  etcdctl(main, 'user', 'add', 'root:root');
  etcdctl(main, 'user', 'grant-role', 'root', 'root');
  etcdctl(main, 'user', 'add', 'regent:first-one');
  etcdctl(main, 'role', 'add', 'regent');
  etcdctl(main, 'role', 'grant-permission', 'regent', '--prefix=true', 'readwrite', '/service/');
  etcdctl(main, 'user', 'grant-role', 'regent', 'regent');
  etcdctl(main, 'auth', 'enable');
  try {
    execFileSync('etcdctl', ['--endpoints', main.endpoints[0]!, ...root, 'user', 'passwd', 'regent', '--interactive=false'], {
      input: 'second-one\n',
      env: { ...process.env, ETCDCTL_API: '3' },
    });
    const file = join(node.place.directory, 'patroni.yml');
    writeFileSync(file, readFileSync(file, 'utf8').replace('password: first-one', 'password: second-one'));
    process.kill(node.agentPid!, 'SIGHUP');
    await leadsOn(postmasterPid);
    await cluster.until('the log says so', 10_000, () => said('logged in at etcd as regent with the new credentials') > 0);
  } finally {
    etcdctl(main, ...root, 'auth', 'disable');
  }
});

test('another etcd at an advertised or configured address does not count as the one that is away', async () => {
  await cluster.waitHealthy();
  await Promise.all(main.members.map((member) => member.kill()));
  await cluster.until('both are refused', 40_000, () =>
    stranger.endpoints.concat(successor.endpoints).every((one) => said(`etcd at ${one} ${REFUSED}`) > 0),
  );
  await cluster.until('the lease ends', (TTL_SECONDS + 15) * 1000, async () => !(await isOpen().catch(() => true)));
  expect(keysIn(stranger)).toBe('');
  expect(keysIn(successor)).toBe('');
  expect(stranger.endpoints.concat(successor.endpoints).map((one) => said(`etcd at ${one} ${REFUSED}`))).toEqual([1, 1]);
  await Promise.all(main.members.map((member) => member.restart()));
  await cluster.waitHealthy();
});

test('a rebuilt etcd is refused, also by a restarted agent, until an operator has confirmed it', async () => {
  await Promise.all(main.members.map((member) => member.kill()));
  await node.killAgent();
  const before = node.log().length;
  node.start();
  const since = () => node.log().slice(before);
  await cluster.until('it is refused', 40_000, () => since().includes(REFUSED));
  const file = join(node.place.directory, 'patroni.yml');
  expect(since()).toContain(`confirm it on every node: regent etcd-replaced ${file}`);
  await cluster.until('no primary', (TTL_SECONDS + 15) * 1000, async () => !(await isOpen().catch(() => true)));
  expect(keysIn(successor)).toBe('');

  const confirm = (...more: string[]) => execFileSync(join(ROOT, 'regent'), ['etcd-replaced', ...more, file], { encoding: 'utf8' });
  expect(confirm()).toContain('confirmed: etcd ');
  await cluster.until('the new one is read', 30_000, () => since().includes('run regent etcd-replaced --initialize FILE'));
  expect(confirm('--initialize')).toContain('is initialized in etcd: ');
  await cluster.until('it leads there', 40_000, async () => (await isPrimary()) && (await isOpen()));
  expect(etcdctl(successor, 'get', '/service/itest/leader')).toContain(node.name);
});
