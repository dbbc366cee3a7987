/**
 * Chores that fail for as long as a test lasts, and disks that cannot be written: everything else
 * goes on.
 */
import { describe, expect, test } from 'vitest';
import { World } from './world.ts';

const config = { ttl: 10, loop_wait: 2, retry_timeout: 3, synchronous_mode: 'quorum' };

describe('a voter whose disk takes nothing', () => {
  const stuck = async (seed: number) => {
    const world = await World.ready({ seed, config });
    await world.expect('both are in /sync', () => (world.etcd.get('sync')?.value ?? '').includes('"quorum":1'), 30_000);
    world.clients.start(50);
    await world.run(3000);
    world.clients.stop();
    await world.run(2000);
    const old = world.primary;
    const [full, successor] = world.replicas;
    return { world, old, full: full!, successor: successor! };
  };

  test.each([51, 52, 53])('votes for the other when the leader dies, and does not take the key (seed %i)', async (seed) => {
    const { world, old, full, successor } = await stuck(seed);
    full.server.full = 'wal';
    full.server.stuckFiles = 'all';
    const from = world.sim.now;
    old.crash();
    const tookMs = await world.expect('a successor', () => world.leader !== null, 60_000);
    expect(world.primary).toBe(successor);
    // The lease, and then the time after which a walreceiver that is gone has been tried again.
    expect(tookMs).toBeLessThan(10_000 + 500 + 6000 + 1500);
    expect(world.timeOf(`etcd puts leader ${full.name}`, from)).toBeNull();
    full.server.full = 'no';
    full.server.stuckFiles = 'none';
    old.boot();
    await world.expect('all are back', () => world.healthy(), 60_000);
  });

  test.each([54, 55])('does not let go of a primary that cannot be stopped (seed %i)', async (seed) => {
    const { world, old, full } = await stuck(seed);
    for (const { server } of world.replicas) server.stuckFiles = 'all';
    old.freezeAgent();
    old.guard.freeze();
    await world.run(30_000);
    expect(world.leader?.name ?? old.name).toBe(old.name);
    expect(full.server.replication.source).toBe(old.server);
    world.checkers.assertClean();
  });
});

test('no node that cannot be promoted takes the key, and one that can again does', async () => {
  const world = await World.ready({ seed: 56, config: { ...config, synchronous_mode: 'off' } });
  const old = world.primary;
  const { replicas } = world;
  for (const { server } of replicas) server.full = 'wal';
  const from = world.sim.now;
  old.crash();
  await world.run(60_000);
  for (const { name } of replicas) expect(world.timeOf(`etcd puts leader ${name}`, from)).toBeNull();
  replicas[0]!.server.full = 'no';
  expect(await world.expect('a successor', () => world.leader !== null, 5000)).toBeLessThan(3000);
});
