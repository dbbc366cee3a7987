/** Step 10: a node is cut off, a replica follows another replica, a commit waits for one. */
import { expect } from 'vitest';
import { parse } from 'yaml';
import { NODES, type Stack } from '../support/stack.ts';
import { readTable } from '../support/tables.ts';
import type { OpenBlock, Walk } from '../support/walk.ts';

/** The agent's round is loop_wait, 10 s, and PostgreSQL tries again every 5 s. */
const APPLIED_MS = 30_000;

export function advanced(walk: Walk): void {
  walk.step('Step 10: Advanced Scenarios / Split-brain prevention', cutOff);
  walk.step('Step 10: Advanced Scenarios / Cascading replication', cascade);
  walk.step('Step 10: Advanced Scenarios / Synchronous replication', synchronous);
}

async function cutOff(block: OpenBlock, stack: Stack): Promise<void> {
  await stack.makeLeader('patroni2');
  await block.type(/^docker network disconnect 09_clustering_default patroni3$/);
  const { output } = await block.type(/^docker-compose exec patroni1 patronictl -c \/etc\/patroni\/patroni\.yml list$/);
  const rows = Object.fromEntries(readTable(output)!.rows.map((row) => [row['Member'], `${row['Role']} ${row['State']}`]));
  expect(rows).toEqual({ patroni1: 'Replica streaming', patroni2: 'Leader running', patroni3: 'Replica unavailable' });
  expect(await stack.sql('patroni3', 'select pg_is_in_recovery()')).toEqual(['t']);
  const leader = await stack.address('patroni2');
  await stack.until('port 5000 leads to patroni2', 20_000, async () => {
    const writable = await stack.writable();
    return writable === leader ? null : `it leads to ${writable ?? 'nowhere'}`;
  });
  await stack.sql('patroni2', 'create table written_meanwhile (id int)');

  await block.type(/^docker network connect 09_clustering_default patroni3$/);
  const begun = performance.now();
  await stack.until('patroni3 streams again', APPLIED_MS, async () => {
    const [there] = await stack.sql('patroni3', "select to_regclass('written_meanwhile')");
    return there === undefined ? 'it does not know the new table' : stack.illness();
  });
  stack.say(`patroni3 streams again ${((performance.now() - begun) / 1000).toFixed(1)} s after it was connected`);
}

const standbysOf = (stack: Stack, node: string) =>
  stack.sql(node, "select application_name || ' ' || sync_state from pg_stat_replication where state = 'streaming' order by 1");

/** The block in the files of these nodes, and they reload; afterwards without it again. */
async function whileConfigured(stack: Stack, nodes: readonly string[], block: OpenBlock, body: () => Promise<void>): Promise<void> {
  const reload = async () => {
    const command = `docker-compose exec patroni1 patronictl -c /etc/patroni/patroni.yml reload postgres-cluster ${nodes.join(' ')} --force`;
    const { output } = await stack.type(command);
    for (const node of nodes) expect(output).toContain(`Reload request received for member ${node}`);
  };
  const before = nodes.map((node) => ({ node, text: stack.file(node, 'patroni.yml') }));
  for (const node of nodes) stack.mergeInto(`${node}/patroni.yml`, parse(block.text));
  await reload();
  try {
    await body();
  } finally {
    for (const { node, text } of before) stack.write(`${node}/patroni.yml`, text);
  }
  await reload();
}

async function cascade(block: OpenBlock, stack: Stack): Promise<void> {
  await stack.makeLeader('patroni1');
  await stack.until('both replicas stream from patroni1', APPLIED_MS, async () => {
    const standbys = (await standbysOf(stack, 'patroni1')).join(', ');
    return standbys === 'patroni2 async, patroni3 async' ? null : `patroni1 has ${standbys || 'nobody'}`;
  });
  await whileConfigured(stack, ['patroni3'], block, async () => {
    await stack.until('patroni3 replicates from patroni2', APPLIED_MS, async () => {
      const [first, second] = [await standbysOf(stack, 'patroni1'), await standbysOf(stack, 'patroni2')];
      const well = first.join() === 'patroni2 async' && second.join() === 'patroni3 async';
      return well ? null : `patroni1 has ${first.join(', ') || 'nobody'}, patroni2 ${second.join(', ') || 'nobody'}`;
    });
    expect(await stack.sql('patroni3', 'show wal_retrieve_retry_interval')).toEqual(['1s']);
    await stack.untilWell();
  });
  await stack.until('patroni3 follows the primary again', APPLIED_MS, async () => {
    const standbys = await standbysOf(stack, 'patroni1');
    return standbys.length === 2 ? null : `patroni1 has ${standbys.join(', ') || 'nobody'}`;
  });
}

/** The tutorial does not say in whose file: in everybody's, patroni2's too. */
async function synchronous(block: OpenBlock, stack: Stack): Promise<void> {
  await stack.makeLeader('patroni1');
  await whileConfigured(stack, NODES, block, async () => {
    await stack.until('the primary waits for patroni2', APPLIED_MS, async () => {
      const standbys = (await standbysOf(stack, 'patroni1')).join(', ');
      return standbys === 'patroni2 sync, patroni3 async' ? null : `patroni1 has ${standbys}`;
    });
    expect(await stack.sql('patroni1', 'show synchronous_standby_names')).toEqual(['patroni2']);
    expect(await stack.sql('patroni1', 'show synchronous_commit')).toEqual(['on']);
    await stack.sql('patroni1', 'create table written_twice (id int)');
  });
  await stack.until('nobody is waited for again', APPLIED_MS, async () => {
    const [names] = await stack.sql('patroni1', 'show synchronous_standby_names');
    return names === undefined ? null : `synchronous_standby_names = ${names}`;
  });
}
