/** A cluster and the server outside that it follows: the other of two sites. */
import { expect, test } from 'vitest';
import { OUTSIDE } from './faults/outside.ts';
import type { Outside } from './outside.ts';
import { isPrefix } from './wal.ts';
import { World, type WorldOptions } from './world.ts';

const follow = { standby_cluster: { host: OUTSIDE } };
const config = { ttl: 10, loop_wait: 2, retry_timeout: 3 };

async function twoSites(seed: number, mode: string, more: Partial<WorldOptions> = {}): Promise<{ world: World; outside: Outside }> {
  const options = { first: false, everyMs: 500, ends: false, ...more.outside };
  const world = new World({ seed, ...more, config: { ...config, synchronous_mode: mode }, outside: options });
  world.startAll();
  const { outside } = world;
  if (outside === null) throw new Error('there is no server outside');
  if (options.first) return { world, outside };
  await world.expect('a healthy cluster', () => world.healthy(), 60_000);
  outside.copy(world);
  await world.expect('a copy that streams', () => outside.server.replication.source === world.leader?.server, 30_000);
  return { world, outside };
}

test.each(['off', 'on', 'quorum'])('two sites are switched and switched back, and nothing is lost (synchronous_mode %s)', async (mode) => {
  const { world, outside } = await twoSites(801, mode);
  world.clients.start(50);
  await world.run(5000);
  world.patchConfig(follow);
  await world.expect('no primary here', () => world.machines.every(({ server }) => !server.writable), 20_000);
  const last = world.clients.acknowledged.at(-1);
  outside.promote();
  await world.expect('all nodes following', () => world.followsOutside(), 60_000);
  expect(world.etcd.get('sync')).toBeNull();
  const leader = world.node(world.holder ?? '').server;
  expect(last !== undefined && isPrefix(last, leader.position)).toBe(true);
  await world.run(5000);
  outside.stop();
  await world.expect('the end of the other site', () => outside.server.process === null, 20_000);
  world.patchConfig({ standby_cluster: null });
  await world.expect('one primary', () => world.healthy(), 60_000);
  expect(isPrefix(outside.server.position, world.primary.server.position)).toBe(true);
  expect(world.machines.every((machine) => world.clients.missingOn(machine).length === 0)).toBe(true);
});

test('a cluster that is made as a standby cluster takes its data from outside, and follows a failover there', async () => {
  const { world, outside } = await twoSites(802, 'off', { outside: { first: true, everyMs: 300, ends: false } });
  await world.expect('all nodes following', () => world.followsOutside(), 60_000);
  expect(world.etcd.get('initialize')?.value).toBe(outside.server.systemId);
  await world.run(5000);
  outside.failOver(1000);
  const { branch } = outside.server.position;
  await world.expect(
    'all nodes on the new timeline',
    () => world.followsOutside() && world.machines.every(({ server }) => server.position.branch === branch),
    120_000,
  );
});

test('an address that led to another cluster for a while is followed again, without an operator', async () => {
  const { world, outside } = await twoSites(803, 'off');
  world.patchConfig(follow);
  await world.expect('no primary here', () => world.leader === null, 20_000);
  outside.promote();
  await world.expect('all nodes following', () => world.followsOutside(), 60_000);
  const putRight = outside.exchange(world);
  await world.run(20_000);
  expect(world.followsOutside()).toBe(false);
  putRight();
  await world.expect('all nodes following again', () => world.followsOutside(), 60_000);
});
