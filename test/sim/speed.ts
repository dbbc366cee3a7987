/**
 * How fast the simulator is, in simulated hours of one cluster a minute of one core. A worker's
 * code, as worker.ts is: tools/sim/speed.ts shows what it tells.
 */
import process from 'node:process';
import { parentPort } from 'node:worker_threads';
import type { JsonObject } from '../../src/support/json.ts';
import { drawFaults, faults } from './faults/index.ts';
import { drawPlan, type Plan } from './plan.ts';
import { Rng } from './rng.ts';
import { runPlan } from './run.ts';
import { World } from './world.ts';

export interface Speed {
  readonly name: string;
  readonly hoursPerMinute: number;
  readonly hours: number;
  readonly faults: number;
  readonly eventsPerHour: number;
}

/** CPU time of each measurement, after as much again for the compiler to get warm. */
const BUDGET_MS = 4000;
const HOUR_MS = 3_600_000;
/** Faults of the sparse runs: one in so long, for so long. */
const SPARSE = { everyMs: 600_000, untilMs: 6 * HOUR_MS };

const defaults: JsonObject = { ttl: 30, loop_wait: 10, retry_timeout: 10 };
const demo: JsonObject = { ttl: 10, loop_wait: 2, retry_timeout: 3 };

/**
 * Of the whole process, garbage collection included; what else runs on the machine does not count.
 */
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

interface Share {
  readonly virtualMs: number;
  readonly events: number;
  readonly faults: number;
}

async function measure(name: string, next: () => Promise<Share>): Promise<Speed> {
  const spend = async (): Promise<Share & { readonly spentMs: number }> => {
    const start = cpuMs();
    let all: Share = { virtualMs: 0, events: 0, faults: 0 };
    while (cpuMs() - start < BUDGET_MS) {
      const { virtualMs, events, faults } = await next();
      all = { virtualMs: all.virtualMs + virtualMs, events: all.events + events, faults: all.faults + faults };
    }
    return { ...all, spentMs: cpuMs() - start };
  };
  await spend();
  const { virtualMs, events, faults, spentMs } = await spend();
  const hours = virtualMs / HOUR_MS;
  return { name, hoursPerMinute: (hours / spentMs) * 60_000, hours, faults, eventsPerHour: events / hours };
}

/** Three nodes without faults, and clients with a commit every so often; null: none. */
async function calm(config: JsonObject, everyMs: number | null): Promise<() => Promise<Share>> {
  const world = await World.ready({ seed: 1, config });
  if (everyMs !== null) world.clients.start(everyMs);
  return async () => {
    const { now, events } = world.sim;
    await world.run(HOUR_MS / 6);
    return { virtualMs: world.sim.now - now, events: world.sim.events - events, faults: 0 };
  };
}

function plans(draw: (seed: number) => Plan): () => Promise<Share> {
  let seed = 0;
  return async () => {
    seed += 1;
    const plan = draw(seed);
    const { virtualMs, events } = await runPlan(plan);
    return { virtualMs, events, faults: plan.faults.length };
  };
}

/** Three nodes with those settings; faults of all kinds, but few of them. */
function sparsePlan(config: JsonObject): (seed: number) => Plan {
  return (seed) => {
    const { options } = drawPlan(seed);
    const nodes = ['a', 'b', 'c'];
    const rates = Object.fromEntries(nodes.map((name) => [name, 1]));
    const clients = { ...options.clients, haproxy: false, stubborn: 'a' };
    const sparse = { ...options, ...SPARSE, nodes, rates, config, clients, tags: {}, kinds: Object.keys(faults), leftBroken: [] };
    return { seed, options: sparse, faults: drawFaults(new Rng(seed).fork('sparse'), sparse) };
  };
}

async function measureAll(tell: (speed: Speed) => void): Promise<void> {
  const quorum = { ...defaults, synchronous_mode: 'quorum' };
  tell(await measure('calm, no clients, default settings', await calm(defaults, null)));
  tell(await measure('calm, default settings', await calm(defaults, 5000)));
  tell(await measure('calm, default settings, quorum', await calm(quorum, 5000)));
  tell(await measure('calm, ttl 10, loop_wait 2', await calm(demo, 5000)));
  tell(await measure('a fault in ten minutes, default settings', plans(sparsePlan(defaults))));
  tell(await measure('a fault in ten minutes, default settings, quorum', plans(sparsePlan(quorum))));
  tell(await measure('as drawn by ./regent sim', plans(drawPlan)));
}

void measureAll((speed) => parentPort?.postMessage(speed)).catch((error: unknown) => {
  setImmediate(() => {
    throw error;
  });
});
