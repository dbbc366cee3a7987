/** The commands of the reference, the verification steps, and the end. */
import { expect } from 'vitest';
import { inventory, NODES, SERVICES, type Stack } from '../support/stack.ts';
import { readTable } from '../support/tables.ts';
import type { OpenBlock, Walk } from '../support/walk.ts';

export function reference(walk: Walk): void {
  walk.step('Patroni Commands Reference', commands);
  walk.step('Verification Steps', verification);
  walk.step('Cleanup', cleanup);
}

/** The tutorial does not say where: in a node's container, where patronictl is. */
const where = 'docker-compose exec patroni2';
const patronictl = (command: string) => new RegExp(`^patronictl -c /etc/patroni/patroni\\.yml ${command}$`);
const sure = { prompt: /Are you sure you want to .*\[y\/N\]: $/, answer: 'y' };

async function commands(block: OpenBlock, stack: Stack): Promise<void> {
  await stack.makeLeader('patroni1');
  expect(readTable((await block.type(patronictl('list'), { where })).output)!.rows).toHaveLength(NODES.length);
  await stack.until('the history has the last change', 30_000, async () => {
    const { out } = await stack.exec('patroni2', 'patronictl', 'history', '-f', 'tsv');
    return /\tpatroni1$/.test(out.trimEnd()) ? null : out;
  });
  const history = readTable((await block.type(patronictl('history'), { where })).output)!;
  expect(history.rows.map((row) => Number(row['TL']))).toEqual(history.rows.map((_, index) => index + 1));
  expect(history.rows.at(-1)!['New Leader']).toBe('patroni1');

  const questions = [
    { prompt: /Primary \[patroni1\]: $/, answer: '' },
    { prompt: /Candidate \['patroni2', 'patroni3'\] \[\]: $/, answer: 'patroni2' },
    { prompt: /When should the switchover take place .*\[now\]: $/, answer: '' },
    sure,
  ];
  const moved = await block.type(patronictl('switchover'), { where, dialogue: questions });
  expect(moved.output).toContain('Successfully switched over to "patroni2"');
  await stack.untilWell();
  expect(await stack.leader()).toBe('patroni2');

  await reload(block, stack);
  await reinit(block, stack);
  await restart(block, stack);

  await block.type(patronictl('pause'), { where });
  expect((await stack.type(`${where} patronictl list`)).output).toContain('Maintenance mode: on');
  await block.type(patronictl('resume'), { where });
  expect((await stack.type(`${where} patronictl list`)).output).not.toContain('Maintenance mode');
}

async function reload(block: OpenBlock, stack: Stack): Promise<void> {
  for (const node of NODES) stack.mergeInto(`${node}/patroni.yml`, { postgresql: { parameters: { work_mem: '7MB' } } });
  await block.type(patronictl('reload'), { where, dialogue: [sure] });
  await stack.until('every PostgreSQL has reloaded', 30_000, async () => {
    const settings = await Promise.all(NODES.map((node) => stack.sql(node, 'show work_mem')));
    return settings.every(([value]) => value === '7MB') ? null : settings.join(', ');
  });
}

const startOf = async (stack: Stack, node: string) => (await stack.sql(node, 'select pg_postmaster_start_time()')).join();

async function reinit(block: OpenBlock, stack: Stack): Promise<void> {
  const made = async () => (await stack.exec('patroni3', 'stat', '-c', '%i', '/var/lib/postgresql/data/PG_VERSION')).out.trim();
  const before = await made();
  await block.type(patronictl('reinit'), {
    where,
    dialogue: [{ prompt: /Which member do you want to reinitialize \[patroni1, patroni3\]\? \[\]: $/, answer: 'patroni3' }, sure],
  });
  await stack.until('patroni3 has been copied anew', 60_000, async () =>
    (await made()) === before ? 'its files are the old ones' : stack.illness(),
  );
}

async function restart(block: OpenBlock, stack: Stack): Promise<void> {
  const before = await startOf(stack, 'patroni1');
  const dialogue = [
    { prompt: /When should the restart take place .*\[now\]: $/, answer: '' },
    sure,
    { prompt: /Restart if the PostgreSQL version is less than provided .*\[\]: $/, answer: '' },
  ];
  const { output } = await block.type(patronictl('restart patroni1'), { where, dialogue });
  expect(output).toContain('Success: restart on member patroni1');
  await stack.untilWell();
  expect(await startOf(stack, 'patroni1')).not.toBe(before);
}

async function verification(block: OpenBlock, stack: Stack): Promise<void> {
  await stack.makeLeader('patroni1');
  const running = await block.type(/^docker-compose ps \| grep Up$/);
  for (const service of SERVICES) expect(running.output).toMatch(new RegExp(`^${service}\\s`, 'm'));
  const leader = await block.type(/^docker-compose exec patroni1 patronictl -c \/etc\/patroni\/patroni\.yml list \| grep Leader$/);
  expect(leader.output).toMatch(/^\| patroni1 \|[^\n]*\| Leader [^\n]*\n$/);
  const standbys = await block.type(/^docker-compose exec patroni1 psql -U postgres -c "SELECT \* FROM pg_stat_replication;"$/);
  // A terminal that has told its width makes psql fold what is wider.
  const unfolded = standbys.output.replaceAll('\n', '');
  for (const node of ['patroni2', 'patroni3']) expect(unfolded).toMatch(new RegExp(`\\| ${node} .*\\| streaming `));
  // HAProxy checks every few seconds who leads since a moment ago.
  const servers = ['postgres_primary/patroni1', ...NODES.map((node) => `postgres_replicas/${node}`)].map((name) => `name="${name}"`);
  await stack.until('HAProxy has seen everybody', 30_000, async () => {
    const { output } = await stack.type('curl -s http://localhost:7000/stats | grep UP');
    return servers.every((server) => output.includes(server)) ? null : output;
  });
  const up = await block.type(/^curl http:\/\/localhost:7000\/stats \| grep UP$/);
  for (const server of servers) expect(up.output).toContain(server);
  const written = await block.type(/^psql -h localhost -p 5000 -U postgres -c "CREATE TABLE test \(id int\); DROP TABLE test;"$/);
  expect(written.output).toContain('DROP TABLE');
}

async function cleanup(block: OpenBlock, stack: Stack): Promise<void> {
  const { ms } = await block.type(/^docker-compose down -v$/, { timeoutMs: 120_000 });
  stack.say(`docker-compose down -v took ${(ms / 1000).toFixed(1)} s`);
  expect(await inventory()).toEqual([]);
}
