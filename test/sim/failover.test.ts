import { describe, expect, test } from 'vitest';
import { World } from './world.ts';

/** ttl 10: the lease, the scan for expired ones, and what the race and the promotion take. */
const BOUND_MS = 10_000 + 500 + 1500;
const seeds = [21, 22, 23, 24, 25];

describe('the leader’s machine dies', () => {
  test.each(seeds)('a successor within the lease and a bit (seed %i)', async (seed) => {
    const world = await World.ready({ seed });
    const old = world.primary;
    world.clients.start(20);
    await world.run(3000);
    old.crash();
    const tookMs = await world.expect('a successor', () => world.leader !== null, 30_000);
    expect(tookMs).toBeLessThan(BOUND_MS);
    expect(tookMs).toBeGreaterThan(6000);
    expect(world.primary.server.position.branch.timeline).toBe(2);
    old.boot();
    await world.expect('the old one back as a replica', () => world.healthy(), 30_000);
    expect(old.server.position.branch).toBe(world.primary.server.position.branch);
  });

  test('the most advanced replica is chosen', async () => {
    const world = await World.ready({ seed: 31 });
    const old = world.primary;
    const [ahead, behind] = world.replicas;
    world.clients.start(20);
    await world.run(1000);
    world.net.cut(old.name, behind!.name);
    await world.run(2000);
    old.crash();
    await world.expect('a successor', () => world.leader !== null, 30_000);
    expect(world.primary).toBe(ahead);
  });

  test('both replicas gone as well, then one comes back', async () => {
    const world = await World.ready({ seed: 32 });
    for (const machine of world.machines) machine.crash();
    await world.run(20_000);
    for (const machine of world.machines) machine.boot();
    await world.expect('healthy again', () => world.healthy(), 30_000);
  });
});

describe('only PostgreSQL dies', () => {
  test('the leader restarts it at once and keeps the lead', async () => {
    const world = await World.ready({ seed: 41 });
    const leader = world.primary;
    leader.server.die('was killed');
    const tookMs = await world.expect('writes again', () => world.leader === leader, 10_000);
    expect(tookMs).toBeLessThan(2500);
    expect(leader.server.position.branch.timeline).toBe(1);
  });

  test('it does not start: the key is released and another leads', async () => {
    const world = await World.ready({ seed: 42 });
    const leader = world.primary;
    leader.server.failStarts = 100;
    leader.server.die('was killed');
    const tookMs = await world.expect('a successor', () => world.leader !== null, 10_000);
    expect(tookMs).toBeLessThan(4000);
    expect(world.primary).not.toBe(leader);
    leader.server.failStarts = 0;
    await world.expect('it comes back', () => world.healthy(), 60_000);
  });

  test('it falls silent: after a ttl it is stopped, and another leads', async () => {
    const world = await World.ready({ seed: 43 });
    const leader = world.primary;
    leader.server.process!.hung = true;
    const tookMs = await world.expect('a successor', () => world.leader !== null, 30_000);
    expect(world.primary).not.toBe(leader);
    expect(tookMs).toBeLessThan(15_000);
  });
});

describe('a promotion that fails', () => {
  test('the key is released, the node keeps out of the race, and the other is promoted', async () => {
    const world = await World.ready({ seed: 51 });
    const old = world.primary;
    old.crash();
    await world.expect('the key taken', () => world.holder !== null && world.holder !== old.name, 30_000);
    const first = world.node(world.holder!);
    first.server.failPromotions = 1;
    const tookMs = await world.expect('a successor', () => world.leader !== null, 150_000);
    expect(world.primary).not.toBe(first);
    expect(first.rules).toContain('standby.promotion-failed');
    // A promotion may take a minute before it counts as failed; then nobody waits for the lease.
    expect(tookMs).toBeLessThan(62_000);
  });

  test('the only candidate tries again when its abstention is over', async () => {
    const world = await World.ready({ seed: 52, nodes: ['a', 'b'] });
    const old = world.primary;
    const successor = world.replicas[0]!;
    successor.server.failPromotions = 1;
    old.crash();
    await world.expect('a failed promotion', () => successor.rules.includes('standby.promotion-failed'), 120_000);
    expect(world.holder).not.toBe(old.name);
    const failedAt = world.sim.now;
    await world.expect('a leader after all', () => world.leader === successor, 120_000);
    expect(world.sim.now - failedAt).toBeGreaterThan(9000);
  });
});

test('a successor dies before the others are on its timeline: in quorum mode no node makes a second timeline of that number', async () => {
  const world = await World.ready({ seed: 61, config: { ttl: 10, loop_wait: 2, retry_timeout: 3, synchronous_mode: 'quorum' } });
  world.checkers.noLoss = true;
  world.clients.start(20);
  await world.run(6000);
  const old = world.primary;
  old.crash();
  await world.expect('the key taken', () => world.holder !== null && world.holder !== old.name, 30_000);
  const successor = world.node(world.holder!);
  const third = world.replicas.find((machine) => machine !== successor && machine !== old)!;
  world.net.cut(successor.name, third.name);
  await world.expect('its timeline on record', () => world.etcd.view().history.length === 1, 5000);
  successor.crash();
  world.net.healAll();
  old.boot();
  await world.run(40_000);
  expect(world.leader).toBeNull();
  expect(third.running.rounds.last?.decision.because).toContain(`the cluster is on 2, which ${successor.name} began`);
  successor.boot();
  await world.expect('it leads again', () => world.leader === successor && world.healthy(), 30_000);
});
