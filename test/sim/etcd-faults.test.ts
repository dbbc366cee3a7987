import { describe, expect, test } from 'vitest';
import { World } from './world.ts';

describe('a reply of etcd is lost', () => {
  test.each([111, 112, 113, 114])(
    'of the request that takes the leader key: the key is held, and one member is promoted (seed %i)',
    async (seed) => {
      const world = await World.ready({ seed });
      const old = world.primary;
      for (const machine of world.replicas) world.net.lostReplies.set(machine.name, 0);
      world.clients.start(50);
      old.crash();
      await world.expect('the key free', () => world.holder === null, 20_000);
      // From here on nothing etcd says arrives; what it was asked to do is done.
      for (const machine of world.replicas) world.net.lostReplies.set(machine.name, 1);
      await world.run(250);
      const taken = world.holder;
      for (const machine of world.replicas) world.net.lostReplies.set(machine.name, 0);
      const tookMs = await world.expect('a successor', () => world.leader !== null, 30_000);
      if (taken !== null) expect(world.primary.name).toBe(taken);
      expect(tookMs).toBeLessThan(6000);
      old.boot();
      await world.expect('healthy again', () => world.healthy(), 30_000);
    },
  );

  test('one in three, all the time: the leader keeps the lead', async () => {
    const world = await World.ready({ seed: 115 });
    const leader = world.primary;
    for (const machine of world.machines) world.net.lostReplies.set(machine.name, 0.33);
    await world.run(120_000);
    expect(world.primary).toBe(leader);
    expect(leader.server.position.branch.timeline).toBe(1);
  });

  test('requests are held up and arrive after their sender gave up', async () => {
    const world = await World.ready({ seed: 116 });
    world.net.slowRequests = { chance: 0.2, maxMs: 8000 };
    world.clients.start(100);
    for (let i = 0; i < 10; i += 1) {
      world.askFailover({ leader: world.holder ?? 'a' });
      await world.run(8000);
    }
    world.net.healAll();
    await world.expect('healthy again', () => world.healthy(), 60_000);
  });
});

describe('all of etcd', () => {
  test('down for longer than the lease: no node takes writes; back again, the same primary leads', async () => {
    const world = await World.ready({ seed: 121 });
    const leader = world.primary;
    world.clients.start(50);
    world.etcd.stop();
    await world.expect('nobody takes writes', () => world.machines.every((machine) => !machine.server.writable), 10_000);
    expect(leader.guard.fires).toBe(0);
    await world.run(30_000);
    world.etcd.start();
    const tookMs = await world.expect('writes again', () => world.leader !== null, 20_000);
    expect(world.primary).toBe(leader);
    expect(tookMs).toBeLessThan(5000);
    await world.expect('healthy again', () => world.healthy(), 20_000);
  });

  test('down for less than the lease: no client notices', async () => {
    const world = await World.ready({ seed: 122 });
    const leader = world.primary;
    const { process } = leader.server;
    world.etcd.stop();
    await world.run(4500);
    world.etcd.start();
    await world.run(10_000);
    expect(world.primary).toBe(leader);
    expect(leader.server.process).toBe(process);
  });

  test('its content removed: the leader writes it again and keeps the lead', async () => {
    const world = await World.ready({ seed: 123 });
    const leader = world.primary;
    world.checkers.onlyHolder = false;
    for (const key of [...world.etcd.keys.keys()]) world.etcd.delete(key);
    await world.expect('the key is back', () => world.holder !== null, 10_000);
    await world.run(10_000);
    expect(world.primary).toBe(leader);
    expect(world.etcd.get('initialize')?.value).toBe(leader.server.systemId);
    expect(world.etcd.view().members).toHaveLength(3);
  });
});

test('a new ttl moves every key to a lease of that length, and the leader stays', async () => {
  const world = await World.ready({ seed: 131 });
  const leader = world.primary;
  const { process } = leader.server;
  world.patchConfig({ ttl: 30 });
  const onNewLeases = () =>
    ['leader', ...world.machines.map((machine) => `members/${machine.name}`)].every((key) => {
      const id = world.etcd.get(key)?.leaseId ?? '';
      return world.etcd.leases.get(id)?.ttlSeconds === 30;
    });
  await world.expect('all keys on leases of 30 s', onNewLeases, 15_000);
  await world.run(20_000);
  expect(onNewLeases()).toBe(true);
  expect(leader.server.process).toBe(process);
  expect(world.primary).toBe(leader);
  world.patchConfig({ ttl: 5, loop_wait: 1, retry_timeout: 2 });
  await world.run(20_000);
  expect(leader.server.process).toBe(process);
  leader.crash();
  const tookMs = await world.expect('a successor within the new ttl', () => world.leader !== null, 30_000);
  expect(tookMs).toBeLessThan(7000);
});
