/**
 * Steps 7 to 9: the health script, the two configuration files, and what the tutorial quotes of
 * them.
 */
import { expect } from 'vitest';
import { parse } from 'yaml';
import type { JsonObject } from '../../../src/support/json.ts';
import { NODES, type Stack } from '../support/stack.ts';
import { readTable } from '../support/tables.ts';
import type { OpenBlock, Walk } from '../support/walk.ts';

export function look(walk: Walk): void {
  walk.step('Step 7: Monitor Cluster Health / Create monitoring script', healthScript);
  walk.step('Step 8: Configure Patroni Parameters / View Patroni configuration', viewPatroni);
  walk.step('Step 8: Configure Patroni Parameters / Key configuration sections', keySettings);
  walk.step('Step 9: HAProxy Configuration / Review HAProxy config', viewHaproxy);
  walk.step('Step 9: HAProxy Configuration / Key sections', keySections);
}

async function healthScript(block: OpenBlock, stack: Stack): Promise<void> {
  const script = block.script();
  stack.write(script.name, script.text);
  // A replica may be replaying something at that moment.
  const lags = (output: string) => NODES.filter((node) => !new RegExp(`^${node}:\\s+0$`, 'm').test(output));
  let well = await stack.type(`bash ${script.name}`);
  await stack.until('nobody lags', 30_000, async () => {
    if (lags(well.output).length === 0) return null;
    well = await stack.type(`bash ${script.name}`);
    return well.output;
  });
  expect(well.code).toBe(0);
  const parts = [
    '=== Patroni Cluster Health Check ===',
    'Cluster Status:',
    'etcd Cluster Health:',
    'Replication Lag:',
    '=== Health Check Complete ===',
  ];
  const places = parts.map((part) => well.output.indexOf(part));
  expect(places).toEqual([...places].sort((one, other) => one - other));
  expect(places[0]).toBe(0);
  expect(
    readTable(well.output)!
      .rows.map((row) => row['Role'])
      .sort(),
  ).toEqual(['Leader', 'Replica', 'Replica']);
  for (const member of ['etcd1', 'etcd2', 'etcd3']) expect(well.output).toMatch(new RegExp(`^${member}:2379 is healthy`, 'm'));

  await stack.type('docker-compose stop patroni1');
  const ill = await stack.type(`bash ${script.name}`);
  expect(readTable(ill.output)!.rows.filter((row) => row['Role'] === 'Leader')).toHaveLength(1);
  expect(ill.output).toMatch(/^patroni1: Down$/m);
  expect(ill.output).toMatch(/^patroni2:\s+0$/m);
  await stack.type('docker-compose start patroni1');
  await stack.untilWell();
}

async function viewPatroni(block: OpenBlock, stack: Stack): Promise<void> {
  const { output } = await block.type(/^docker-compose exec patroni1 cat \/etc\/patroni\/patroni\.yml$/);
  expect(output).toBe(stack.file('patroni1', 'patroni.yml'));
  expect(Object.keys(parse(output))).toEqual(
    expect.arrayContaining(['scope', 'name', 'etcd3', 'restapi', 'bootstrap', 'postgresql', 'watchdog']),
  );
}

/**
 * What the block sets, `dcs` at the top included, is taken as it stands, and a node starts with it.
 */
async function keySettings(block: OpenBlock, stack: Stack): Promise<void> {
  const before = stack.file('patroni3', 'patroni.yml');
  const settings = parse(block.text) as JsonObject & { postgresql: { parameters: JsonObject }; dcs: JsonObject };
  const [dynamic] = [parse(before)['bootstrap']['dcs'] as JsonObject];
  expect(dynamic).toMatchObject(settings.dcs);
  stack.mergeInto('patroni3/patroni.yml', settings);
  const checked = await stack.type('docker-compose exec patroni3 regent check-config /etc/patroni/patroni.yml');
  expect(checked.code, checked.output).toBe(0);
  await stack.type('docker-compose restart patroni3');
  await stack.untilWell();
  for (const [name, value] of Object.entries(settings.postgresql.parameters)) {
    const wanted = value === true ? 'on' : String(value);
    expect(await stack.sql('patroni3', `show ${name}`), name).toEqual([wanted]);
  }
  const config = await stack.rest('patroni3', '/config');
  expect(config?.body).toMatchObject(settings.dcs);
  stack.write('patroni3/patroni.yml', before);
  await stack.type('docker-compose restart patroni3');
  await stack.untilWell();
}

async function viewHaproxy(block: OpenBlock, stack: Stack): Promise<void> {
  const { output } = await block.type(/^cat haproxy\/haproxy\.cfg$/);
  expect(output).toBe(stack.file('haproxy', 'haproxy.cfg'));
}

/**
 * Each line that the tutorial quotes is in the file, with the same words in the same order; more
 * may stand between and behind them.
 */
async function keySections(block: OpenBlock, stack: Stack): Promise<void> {
  const words = (text: string) =>
    text.split('\n').map((line) =>
      line
        .replace(/#.*/, '')
        .split(/\s+/)
        .filter((word) => word !== ''),
    );
  const ours = words(stack.file('haproxy', 'haproxy.cfg'));
  const within = (line: readonly string[]) => (own: readonly string[]) => {
    let at = 0;
    for (const word of own) if (word === line[at]) at += 1;
    return at === line.length;
  };
  const missing = words(block.text).filter((line) => !ours.some(within(line)));
  expect(missing).toEqual([]);
  expect((await stack.type('docker-compose exec haproxy haproxy -c -f /etc/haproxy/haproxy.cfg')).code).toBe(0);
}
