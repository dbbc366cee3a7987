import fc from 'fast-check';
import { expect, test } from 'vitest';
import { World } from './world.ts';

const rate = fc.double({ min: 0.99, max: 1.01, noNaN: true });

/**
 * How the leader loses touch: each leaves only its lease, and what counts it, between two servers
 * that take writes.
 */
const losses = {
  'cut off from etcd': (world: World) => world.net.cut(world.primary.name, 'etcd'),
  'cut off from everybody': (world: World) => {
    const { name } = world.primary;
    for (const end of ['etcd', ...world.machines.map((machine) => machine.name)]) if (end !== name) world.net.cut(name, end);
  },
  'agent frozen': (world: World) => world.primary.freezeAgent(),
  'agent killed': (world: World) => world.primary.killAgent(),
  'only answers of etcd lost': (world: World) => world.net.cutOneWay('etcd', world.primary.name),
};

test('with clocks up to 1 % apart, no two servers ever take writes at once', { timeout: 60_000 }, async () => {
  const ttl = fc.constantFrom(
    { ttl: 3, loop_wait: 1, retry_timeout: 1 },
    { ttl: 10, loop_wait: 2, retry_timeout: 3 },
    { ttl: 30, loop_wait: 10, retry_timeout: 10 },
    { ttl: 120, loop_wait: 10, retry_timeout: 10 },
  );
  const run = fc.asyncProperty(
    fc.integer({ min: 1, max: 1_000_000 }),
    fc.record({ a: rate, b: rate, c: rate }),
    rate,
    ttl,
    fc.constantFrom(...(Object.keys(losses) as Array<keyof typeof losses>)),
    fc.double({ min: 0, max: 1, noNaN: true }),
    async (seed, rates, etcdRate, config, loss, share) => {
      const world = await World.ready({ seed, config, rates, etcdRate, relays: false });
      await world.run(share * config.ttl * 1000);
      const old = world.primary;
      losses[loss](world);
      // The checkers look for a second writable server, or a first one that outlives its key, after
      // every event.
      await world.expect('a successor', () => world.leader !== null && world.leader !== old, config.ttl * 1000 * 2 + 5000);
      expect(old.server.writable).toBe(false);
    },
  );
  await fc.assert(run, { numRuns: 60, seed: 20_261_122 });
});
