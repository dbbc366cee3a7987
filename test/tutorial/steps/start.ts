/** Steps 1 to 3: the stack comes up, says who leads, and takes clients. */
import { expect } from 'vitest';
import { NODES, SERVICES, type Stack } from '../support/stack.ts';
import { readTable } from '../support/tables.ts';
import type { OpenBlock, Walk } from '../support/walk.ts';

const CLUSTER = /^docker-compose exec patroni1 patronictl -c \/etc\/patroni\/patroni\.yml list$/;

export function start(walk: Walk): void {
  walk.step('Step 1: Start the Cluster', startCluster, { essential: true, timeoutMs: 300_000 });
  walk.step('Step 2: Verify Cluster Status / Check Patroni cluster', checkPatroni);
  walk.step('Step 2: Verify Cluster Status / Check etcd cluster', checkEtcd);
  walk.step('Step 2: Verify Cluster Status / Check HAProxy stats', checkHaproxy);
  walk.step('Step 3: Connect to Cluster / Write connections', writeConnections);
  walk.step('Step 3: Connect to Cluster / Read connections', readConnections);
  walk.check('5001 spreads readers over all nodes', spreadReaders);
}

async function startCluster(block: OpenBlock, stack: Stack): Promise<void> {
  block.leaveOut(/^cd \/\S+\/09_clustering$/);
  await block.type(/^docker-compose up -d$/, { timeoutMs: 240_000 });
  await block.sleep('one leader, two replicas, writes through HAProxy', async () => {
    const illness = await stack.illness();
    return illness ?? ((await stack.writable()) === null ? 'port 5000 takes no writes' : null);
  });
  const { output } = await block.type(/^docker-compose ps$/);
  for (const service of SERVICES) expect(output).toMatch(new RegExp(`^${service}\\s.*\\bUp\\b`, 'm'));
}

async function checkPatroni(block: OpenBlock): Promise<void> {
  const promised = readTable(block.text.replaceAll(/^# ?/gm, ''))!;
  const { output } = await block.type(CLUSTER);
  const table = readTable(output)!;
  expect(table.title).toMatch(/^Cluster: postgres-cluster \(\d+\)$/);
  expect(table.columns).toEqual(promised.columns);
  expect(table.rows.map((row) => row['Member'])).toEqual(promised.rows.map((row) => row['Member']));
  expect(table.rows.filter((row) => row['Role'] === 'Leader' && row['State'] === 'running')).toHaveLength(1);
  // Patroni says `streaming` since its version 3, where the tutorial has `running`.
  expect(table.rows.filter((row) => row['Role'] === 'Replica' && row['State'] === 'streaming')).toHaveLength(2);
}

async function checkEtcd(block: OpenBlock): Promise<void> {
  const health = await block.type(/^docker-compose exec etcd1 etcdctl endpoint health \\\n/);
  for (const member of ['etcd1', 'etcd2', 'etcd3']) expect(health.output).toMatch(new RegExp(`^${member}:2379 is healthy`, 'm'));
  const { output } = await block.type(/^docker-compose exec etcd1 etcdctl member list$/);
  for (const member of ['etcd1', 'etcd2', 'etcd3']) expect(output).toMatch(new RegExp(`, started, ${member}, http://${member}:2380,`));
}

async function checkHaproxy(block: OpenBlock, stack: Stack): Promise<void> {
  const { output } = await block.type(/^curl http:\/\/localhost:7000\/stats$/);
  for (const pool of ['postgres_primary', 'postgres_replicas']) {
    for (const node of NODES) expect(output).toContain(`name="${pool}/${node}"`);
  }
  const status = async (...words: string[]) =>
    (await stack.type(['curl -s -o /dev/null -w "%{http_code}"', ...words, 'http://localhost:7000/stats'].join(' '))).output;
  const browser = '-H "Accept: text/html,*/*"';
  expect(await status(browser)).toBe('401');
  expect(await status(browser, '-u admin:admin')).toBe('200');
  expect(await status('-u admin:admin')).toBe('200');
  expect(await status('-u admin:wrong')).toBe('401');
}

async function writeConnections(block: OpenBlock): Promise<void> {
  const { output } = await block.type(/^psql -h localhost -p 5000 -U postgres$/);
  expect(output).toMatch(/ pg_is_in_recovery \n-+\n f\n\(1 row\)/);
}

async function readConnections(block: OpenBlock): Promise<void> {
  const { output } = await block.type(/^psql -h localhost -p 5001 -U postgres$/);
  expect(output).toMatch(/ pg_is_in_recovery \n-+\n [tf]\n\(1 row\)/);
}

async function spreadReaders(stack: Stack): Promise<void> {
  const ask = 'psql -h localhost -p 5001 -U postgres -XAtc "SELECT inet_server_addr(), pg_is_in_recovery()"';
  const answers = new Set<string>();
  // In turn; but a check that has just failed, on a busy machine, leaves a node out for a while.
  for (let count = 0; count < 5 * NODES.length && answers.size < NODES.length; count++) answers.add((await stack.type(ask)).output.trim());
  const addresses = await Promise.all(NODES.map((node) => stack.address(node)));
  const leader = await stack.leader();
  expect([...answers].sort()).toEqual(addresses.map((address, index) => `${address}|${NODES[index] === leader ? 'f' : 't'}`).sort());
}
