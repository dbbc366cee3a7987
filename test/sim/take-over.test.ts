/** Synchronous clusters: a leader is replaced by its voters' promises, and etcd may be away. */
import { expect, test } from 'vitest';
import type { JsonObject } from '../../src/support/json.ts';
import type { Machine } from './machine.ts';
import { World } from './world.ts';

const config = { ttl: 30, loop_wait: 10, retry_timeout: 10 };
const MINUTE_MS = 60_000;

type Fault = (leader: Machine, world: World) => void;

function cut(world: World, from: Machine, ends: readonly string[]): void {
  for (const end of ends) if (end !== from.name) world.net.cut(from.name, end);
}
const names = (world: World) => world.machines.map(({ name }) => name);

const faults: Readonly<Record<string, Fault>> = {
  'its machine loses power': (old) => old.crash(),
  'its machine stands still': (old) => old.suspend(),
  'it is cut off': (old, world) => cut(world, old, [...names(world), 'etcd', 'client']),
  'what it sends is lost': (old, world) => {
    for (const end of [...names(world), 'etcd']) if (end !== old.name) world.net.cutOneWay(old.name, end);
  },
  'its standbys do not reach it': (old, world) => cut(world, old, names(world)),
  'agent and PostgreSQL are killed': (old) => {
    old.killAgent();
    old.server.die('was killed');
  },
};

const policies: readonly JsonObject[] = [
  { synchronous_mode: 'quorum' },
  { synchronous_mode: 'on' },
  { synchronous_mode: 'quorum', synchronous_node_count: 2 },
];

const cases = Object.keys(faults).flatMap((fault, i) => policies.map((policy, j) => ({ fault, policy, seed: 10 * i + j })));

async function begin(seed: number, policy: JsonObject, nodes: readonly string[]): Promise<{ world: World; old: Machine }> {
  const world = await World.ready({ seed, config: { ...config, ...policy }, nodes });
  world.clients.start({ everyMs: 50, stubborn: 'any' });
  world.clients.rush(Number.POSITIVE_INFINITY);
  await world.run(20_000);
  return { world, old: world.primary };
}

/** The longest time without an acknowledgement since then. */
function longestGapMs({ clients, sim }: World, sinceMs: number): number {
  const times = [sinceMs, ...clients.acknowledged.map(({ at }) => at).filter((at) => at > sinceMs), sim.now];
  return Math.max(...times.slice(1).map((at, i) => at - times[i]!));
}

test.each(cases)('$fault, $policy: another leads within two seconds (seed $seed)', async ({ fault, policy, seed }) => {
  const { world, old } = await begin(seed, policy, ['a', 'b', 'c', 'd']);
  faults[fault]!(old, world);
  world.sim.touched();
  const tookMs = await world.expect('a successor', () => world.leader !== null && world.leader !== old, 40_000);
  expect(tookMs).toBeLessThan(2000);
  await world.run(MINUTE_MS);
  world.net.healAll();
  old.resume();
  old.boot();
  old.startAgent();
  await world.expect('all are back', () => world.healthy(), 2 * MINUTE_MS);
  world.checkers.checkLoss();
  world.checkers.assertClean();
});

test.each(policies.map((policy, i) => ({ policy, seed: 60 + i })))(
  'nothing reaches it, and its beats arrive, $policy: it asks for a successor (seed $seed)',
  async ({ policy, seed }) => {
    const { world, old } = await begin(seed, policy, ['a', 'b', 'c', 'd']);
    for (const end of [...names(world), 'etcd']) if (end !== old.name) world.net.cutOneWay(end, old.name);
    world.sim.touched();
    const tookMs = await world.expect('a successor', () => world.leader !== null && world.leader !== old, 40_000);
    expect(tookMs).toBeLessThan(4500);
    await world.run(MINUTE_MS);
    world.net.healAll();
    await world.expect('all are back', () => world.healthy(), 2 * MINUTE_MS);
    world.checkers.checkLoss();
    world.checkers.assertClean();
  },
);

test.each(policies.map((policy, i) => ({ policy, seed: 70 + i })))(
  'its disk hangs, $policy: its voters replace it, and it comes back when the disk does (seed $seed)',
  async ({ policy, seed }) => {
    const { world, old } = await begin(seed, policy, ['a', 'b', 'c', 'd']);
    old.server.hangDisk();
    const tookMs = await world.expect('a successor', () => world.leader !== null && world.leader !== old, 40_000);
    expect(tookMs).toBeGreaterThan(5000);
    expect(tookMs).toBeLessThan(8000);
    await world.run(MINUTE_MS);
    old.server.freeDisk();
    await world.expect('all are back', () => world.healthy(), 2 * MINUTE_MS);
    world.checkers.checkLoss();
    world.checkers.assertClean();
  },
);

test('its disk hangs, and comes back before postgresql_unresponsive_after: nothing happens', async () => {
  const { world, old } = await begin(79, { synchronous_mode: 'quorum' }, ['a', 'b', 'c']);
  for (let i = 0; i < 5; i++) {
    old.server.hangDisk();
    await world.run(4500);
    old.server.freeDisk();
    await world.run(3000);
  }
  expect(world.leader).toBe(old);
  world.checkers.assertClean();
});

test.each([1, 2])(
  'only its agent is killed: nothing happens before the guard stops PostgreSQL, and then it is quick (seed %i)',
  async (seed) => {
    const { world, old } = await begin(seed, { synchronous_mode: 'quorum' }, ['a', 'b', 'c']);
    old.killAgent();
    await world.expect('the guard strikes', () => old.server.process === null, 30_000);
    expect(world.leader).toBeNull();
    expect(await world.expect('a successor', () => world.leader !== null, 5000)).toBeLessThan(1000);
    world.checkers.assertClean();
  },
);

test.each([1, 2])('its agent is away for a while: no member is replaced (seed %i)', async (seed) => {
  const { world, old } = await begin(seed, { synchronous_mode: 'quorum' }, ['a', 'b', 'c']);
  const since = world.sim.now;
  for (let i = 0; i < 5; i++) {
    old.freezeAgent();
    await world.run(2000);
    old.thawAgent();
    await world.run(3000);
    old.killAgent();
    await world.run(1500);
    old.startAgent();
    await world.run(5000);
  }
  expect(world.leader).toBe(old);
  expect(longestGapMs(world, since)).toBeLessThan(500);
  world.checkers.assertClean();
});

test.each([
  { mode: 'quorum', relays: true },
  { mode: 'quorum', relays: false },
  { mode: 'on', relays: false },
])('all of etcd is away for ten minutes, mode $mode: every write is answered, roles stay', async ({ mode, relays }) => {
  const world = await World.ready({ seed: 7, config: { ...config, synchronous_mode: mode }, relays });
  world.clients.start({ everyMs: 50 });
  world.clients.rush(Number.POSITIVE_INFINITY);
  await world.run(20_000);
  const old = world.primary;
  const since = world.sim.now;
  world.etcd.stop();
  await world.run(10 * MINUTE_MS);
  world.etcd.start();
  await world.run(2 * MINUTE_MS);
  expect(world.holder).toBe(old.name);
  expect(old.server.writable).toBe(true);
  expect(longestGapMs(world, since)).toBeLessThan(500);
  expect(world.checkers.successions).toHaveLength(1);
  world.checkers.assertClean();
});

test.each(['quorum', 'on', 'off'])('etcd comes and goes for ten minutes, mode %s: roles stay', async (mode) => {
  const world = await World.ready({ seed: 8, config: { ...config, synchronous_mode: mode } });
  world.clients.start({ everyMs: 50 });
  world.clients.rush(Number.POSITIVE_INFINITY);
  await world.run(20_000);
  const old = world.primary;
  const since = world.sim.now;
  while (world.sim.now - since < 10 * MINUTE_MS) {
    world.etcd.stop();
    await world.run(3000);
    world.etcd.start();
    await world.run(2000);
  }
  await world.run(MINUTE_MS);
  expect(world.leader).toBe(old);
  expect(longestGapMs(world, since)).toBeLessThan(500);
  world.checkers.assertClean();
});

test('the candidate dies right after it has taken the lead: nobody leads with less, and all are back (seed 3)', async () => {
  // A commit is on three machines, so two of them may die.
  const policy = { synchronous_mode: 'quorum', synchronous_node_count: 2 };
  const { world, old } = await begin(3, policy, ['a', 'b', 'c', 'd', 'e']);
  old.crash();
  await world.expect('the key is taken', () => world.holder !== null && world.holder !== old.name, 5000);
  const candidate = world.node(world.holder!);
  candidate.crash();
  await world.expect('a third leads', () => world.leader !== null, 60_000);
  old.boot();
  candidate.boot();
  await world.expect('all are back', () => world.healthy(), 2 * MINUTE_MS);
  world.checkers.checkLoss();
  world.checkers.assertClean();
});

test.each([1, 2, 3, 4])('a voter dies, or its agent does, while it has promised (seed %i)', async (seed) => {
  const { world, old } = await begin(seed, { synchronous_mode: 'quorum' }, ['a', 'b', 'c', 'd']);
  old.suspend();
  await world.expect('somebody promises', () => world.machines.some(({ server }) => server.fence !== null), 5000);
  const voter = world.machines.find(({ server }) => server.fence !== null)!;
  if (seed % 2 === 0) voter.killAgent();
  else voter.crash();
  // The old leader goes on in the middle of it.
  if (seed > 2) old.resume();
  await world.run(1000);
  voter.boot();
  voter.startAgent();
  old.resume();
  await world.expect('all are back', () => world.healthy(), 2 * MINUTE_MS);
  world.checkers.checkLoss();
  world.checkers.assertClean();
});
