/**
 * A pause ends while the leader's agent is away, and its guard rests. The agent that comes back may
 * not live long, and etcd may take no writes.
 */
import { describe, expect, test } from 'vitest';
import { leaseMargins } from '../../src/core/settings.ts';
import { World } from './world.ts';

const { guardMs } = leaseMargins(10);

/** Paused, the leader's agent dead since, the pause over in etcd, which has no room any more. */
async function pauseOver(seed: number, deadForMs: number) {
  const world = await World.ready({ seed });
  const old = world.primary;
  world.patchConfig({ pause: true });
  await world.expect('its guard rests', () => old.guard.deadlineMs === null, 10_000);
  old.killAgent();
  await world.run(deadForMs);
  world.patchConfig({ pause: false });
  world.etcd.full = true;
  return { world, old };
}

describe('the agent comes back when the pause is over, and etcd grants no lease', () => {
  test('killed again while it waits, the agent has given its guard a deadline before the leader key can end', async () => {
    const { world, old } = await pauseOver(301, 3000);
    old.startAgent();
    await world.expect('the guard knows when', () => old.guard.deadlineMs !== null, 100);
    expect(old.guard.deadlineMs! - old.clock.bootMs()).toBeLessThanOrEqual(guardMs);
    await world.run(1000);
    expect(world.holder).toBe(old.name);
    old.killAgent();
    await world.expect('the guard stops PostgreSQL while the key still names it', () => !old.server.writable, 10_000);
    expect([old.guard.fires, world.holder]).toEqual([1, old.name]);
    await world.expect('then the key ends', () => world.holder === null, 2000);
    world.etcd.full = false;
    await world.expect('a successor', () => world.leader !== null, 10_000);
    old.startAgent();
    await world.expect('healthy again', () => world.healthy(), 30_000);
    world.checkers.assertClean();
  });

  test('the primary does not go on for long where the key has ended meanwhile', async () => {
    const { world, old } = await pauseOver(302, 15_000);
    expect(world.holder).toBeNull();
    expect(old.server.writable).toBe(true);
    old.startAgent();
    await world.expect('the guard knows when', () => old.guard.deadlineMs !== null, 100);
    old.killAgent();
    await world.expect('the guard stops PostgreSQL', () => !old.server.writable, 5000);
    world.checkers.assertClean();
  });

  test('alive, it steps down before the guard strikes', async () => {
    const { world, old } = await pauseOver(303, 15_000);
    old.startAgent();
    await world.expect('it stops taking writes', () => !old.server.writable, 4000);
    expect(world.tail()).toContain(`${old.name} WARNING demoting self because the leader key could not be taken`);
    expect(old.guard.fires).toBe(0);
    world.checkers.assertClean();
  });

  test('etcd has room in time, and nothing has happened', async () => {
    const { world, old } = await pauseOver(304, 3000);
    const { process } = old.server;
    old.startAgent();
    await world.run(1500);
    world.etcd.full = false;
    await world.run(20_000);
    expect(world.primary).toBe(old);
    expect(old.server.process).toBe(process);
    expect(old.guard.fires).toBe(0);
  });
});

test('an agent that is restarted outside of a pause leads on by the lease of its predecessor, as long as etcd renews that', async () => {
  const world = await World.ready({ seed: 305 });
  const old = world.primary;
  const { process } = old.server;
  const lease = world.etcd.get('leader')?.leaseId;
  old.killAgent();
  world.etcd.full = true;
  old.startAgent();
  await world.run(60_000);
  expect([world.primary, world.holder, old.server.process]).toEqual([old, old.name, process]);
  expect(world.etcd.get('leader')?.leaseId).toBe(lease);
  expect(old.guard.fires).toBe(0);
  expect(old.guard.deadlineMs! - old.clock.bootMs(), 'the deadline moves on').toBeGreaterThan(0);
  expect(world.tail()).toContain("this agent leads on by the leader key's present lease");
  world.etcd.full = false;
  await world.run(5000);
  expect(world.primary).toBe(old);
  world.checkers.assertClean();
});
