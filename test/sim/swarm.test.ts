import { describe, expect, test } from 'vitest';
import { runSwarm } from './swarm.ts';

/** REGENT_SIM_SEEDS and REGENT_SIM_FROM: more of them, or just the one that failed. */
const count = Number(process.env['REGENT_SIM_SEEDS'] ?? 120);
const from = Number(process.env['REGENT_SIM_FROM'] ?? 1);
const seedsOf = (part: number, parts: number) => Array.from({ length: count }, (_, i) => from + i).filter((seed) => seed % parts === part);
const quorum = { ttl: 10, loop_wait: 2, retry_timeout: 3, synchronous_mode: 'quorum' };

/**
 * Found by longer runs: a late request that released a key taken again (the first three), and two
 * timelines of one number (the last).
 */
test.each([2441, 2740, 3023, 20_593])('seed %i, which once failed', { timeout: 60_000 }, async (seed) => {
  for (const synchronous_mode of ['quorum', true]) {
    const world = await runSwarm({ seed, config: { ...quorum, synchronous_mode }, faultMs: 40_000, noLoss: true });
    expect(world.clients.acknowledged.length).toBeGreaterThan(10);
  }
});

describe('quorum mode: no acknowledged commit is lost, one node takes writes at a time, and the cluster comes back', () => {
  test.each([0, 1, 2, 3])('part %i', { timeout: 120_000 }, async (part) => {
    const failed: string[] = [];
    let acknowledged = 0;
    for (const seed of seedsOf(part, 4)) {
      try {
        const world = await runSwarm({ seed, config: quorum, faultMs: 30_000, noLoss: true });
        acknowledged += world.clients.acknowledged.length;
      } catch (error) {
        failed.push(error instanceof Error ? error.message : String(error));
      }
    }
    if (failed.length > 0) throw new Error(`${failed.length} failed; the first: ${failed[0]}`);
    expect(acknowledged).toBeGreaterThan(100);
  });
});
