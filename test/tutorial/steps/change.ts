/**
 * Steps 4 to 6: the leader goes, comes back as a replica, takes the lead again by hand; and what is
 * written is everywhere.
 */
import { expect } from 'vitest';
import { NODES, type Stack } from '../support/stack.ts';
import { readTable } from '../support/tables.ts';
import type { OpenBlock, Walk } from '../support/walk.ts';
import { Writer } from '../support/writer.ts';

const list = (node: string) => new RegExp(`^docker-compose exec ${node} patronictl -c /etc/patroni/patroni\\.yml list$`);
/** A crash would take the rest of the lease, 20 s and more; SIGTERM hands over. */
const HANDOVER_MS = 15_000;

export function change(walk: Walk): void {
  walk.step('Step 4: Test Automatic Failover / Simulate primary failure', stopLeader);
  walk.step('Step 4: Test Automatic Failover / Verify application connectivity', clientsFollow);
  walk.step('Step 4: Test Automatic Failover / Restore failed node', comesBack);
  walk.step('Step 5: Manual Switchover / Switchover to specific node', switchover);
  walk.step('Step 6: Test Data Replication', replicates);
}

const rolesIn = (output: string) => Object.fromEntries(readTable(output)!.rows.map((row) => [row['Member']!, row['Role']!]));
const statesIn = (output: string) => Object.fromEntries(readTable(output)!.rows.map((row) => [row['Member']!, row['State']!]));

async function stopLeader(block: OpenBlock, stack: Stack): Promise<void> {
  await stack.makeLeader('patroni1');
  const before = await block.type(list('patroni1'));
  expect(rolesIn(before.output)).toMatchObject({ patroni1: 'Leader' });
  const address = await stack.address('patroni1');
  const writer = await Writer.start(stack);
  const stopped = await block.type(/^docker-compose stop patroni1$/);
  await block.sleep('another leader', async () => {
    const leader = await stack.leader();
    return leader === null || leader === 'patroni1' ? `the leader is ${leader ?? 'nobody'}` : null;
  });
  await writer.until(stack, 'a row by the new leader', () => Number.isFinite(writer.gapMs(address)));
  expect(await writer.lost(stack)).toEqual([]);
  const gap = writer.gapMs(address);
  stack.say(`hand-over on SIGTERM: ${(gap / 1000).toFixed(2)} s without a write, none of ${writer.acks.length} acknowledged rows lost`);
  stack.say(`docker-compose stop took ${(stopped.ms / 1000).toFixed(1)} s`);
  expect(gap).toBeLessThan(HANDOVER_MS);
  const { output } = await block.type(list('patroni2'));
  const leaders = readTable(output)!.rows.filter((row) => row['Role'] === 'Leader');
  expect(leaders.map((row) => row['Member'])).toEqual([await stack.leader()]);
  expect(['patroni2', 'patroni3']).toContain(leaders[0]!['Member']);
  expect(statesIn(output)['patroni1'] ?? 'gone').toMatch(/^(stopped|unavailable|gone)$/);
}

async function clientsFollow(block: OpenBlock, stack: Stack): Promise<void> {
  const now = await block.type(/^psql -h localhost -p 5000 -U postgres -c "SELECT current_timestamp;"$/);
  expect(now.output).toMatch(/^ \d{4}-\d\d-\d\d \d\d:\d\d:\d\d/m);
  const { output } = await block.type(/^psql -h localhost -p 5000 -U postgres -c "SELECT inet_server_addr\(\);"$/);
  expect(output).toContain(`\n ${await stack.address((await stack.leader())!)}\n(1 row)`);
}

async function comesBack(block: OpenBlock, stack: Stack): Promise<void> {
  await block.type(/^docker-compose start patroni1$/);
  await block.sleep('patroni1 is a streaming replica', () => stack.illness());
  const { output } = await block.type(list('patroni2'));
  expect(rolesIn(output)['patroni1']).toBe('Replica');
  expect(statesIn(output)['patroni1']).toBe('streaming');
  expect(await stack.sql('patroni1', 'select pg_is_in_recovery()')).toEqual(['t']);
}

async function switchover(block: OpenBlock, stack: Stack): Promise<void> {
  await stack.makeLeader('patroni1');
  const { output, ms } = await block.type(/switchover \\\n\s+--master patroni1 \\\n\s+--candidate patroni2 \\\n\s+--force$/);
  expect(output).toContain('Successfully switched over to "patroni2"');
  stack.say(`switchover took ${(ms / 1000).toFixed(1)} s`);
  const after = await block.type(list('patroni2'));
  expect(rolesIn(after.output)).toEqual({ patroni1: 'Replica', patroni2: 'Leader', patroni3: 'Replica' });
  await stack.untilWell();
  expect(await stack.leader()).toBe('patroni2');
}

async function replicates(block: OpenBlock, stack: Stack): Promise<void> {
  const made = await block.type(/^psql -h localhost -p 5000 -U postgres <<EOF\n/);
  for (const word of ['CREATE DATABASE', 'You are now connected to database "cluster_test"', 'CREATE TABLE', 'INSERT 0 3']) {
    expect(made.output).toContain(word);
  }
  await block.sleep('three rows on every node', async () => {
    for (const node of NODES) {
      const [rows] = await stack.sql(node, 'select count(*) from failover_test', 'cluster_test');
      if (rows !== '3') return `${node} has ${rows}`;
    }
    return null;
  });
  const { output } = await block.type(/^psql -h localhost -p 5001 -U postgres cluster_test -c \\\n/);
  for (const data of ['Before failover', 'Test data 1', 'Test data 2']) expect(output).toContain(`| ${data}`);
  expect(output).toContain('(3 rows)');
}
