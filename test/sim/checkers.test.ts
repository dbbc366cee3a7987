/** Checkers and faults that once blamed where nobody was to blame, or excused too much. */
import { describe, expect, test } from 'vitest';
import { strangerFaults } from './faults/strangers.ts';
import type { Machine } from './machine.ts';
import { World } from './world.ts';

const MINUTE_MS = 60_000;
const quick = { ttl: 5, loop_wait: 1, retry_timeout: 2 };

describe('a stranger is not counted', () => {
  const streams = ({ lines }: World) => lines.some((line) => line.includes('a stranger streams'));

  async function begin(seed: number, config: object) {
    const world = await World.ready({ seed, config: { ...config, synchronous_mode: 'quorum' } });
    strangerFaults['stranger']!.apply(world, { on: world.replicas[0]!.name, forMs: 10 * MINUTE_MS });
    return world;
  }

  test('while etcd answers late', async () => {
    const world = await begin(401, quick);
    world.net.slowReplies = { chance: 0.01, maxMs: 5 };
    await world.run(30_000);
    expect(streams(world)).toBe(false);
    world.net.slowReplies = { chance: 0, maxMs: 0 };
    await world.expect('it streams', () => streams(world), 15_000);
  });

  test('while the leader’s machine stands still', async () => {
    const world = await begin(402, { ttl: 30, loop_wait: 10, retry_timeout: 10, failover_fence: 'lease' });
    const leader = world.primary;
    await world.run(38_000);
    leader.suspend();
    await world.run(4000);
    expect(world.holder).toBe(leader.name);
    leader.resume();
    expect(streams(world)).toBe(false);
  });
});
