/** How fast the simulator is: simulated cluster-hours per minute of one core. */
import process from 'node:process';
import type { JsonObject } from '../../src/core/json.ts';
import { drawPlan } from './plan.ts';
import { runPlan } from './run.ts';
import { World } from './world.ts';

export interface Speed {
  readonly name: string;
  readonly clusterHours: number;
  readonly cpuSeconds: number;
  readonly hoursPerMinute: number;
  readonly events: number;
  /** Rounds of all agents, where one world ran from beginning to end. */
  readonly hash: string;
}

/** Of this process alone: others on the machine do not count. */
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

const settings: Readonly<Record<string, JsonObject>> = {
  'ttl 30': { ttl: 30, loop_wait: 10, retry_timeout: 10 },
  'ttl 10': { ttl: 10, loop_wait: 2, retry_timeout: 3 },
  'ttl 30, quorum': { ttl: 30, loop_wait: 10, retry_timeout: 10, synchronous_mode: 'quorum' },
  'ttl 10, quorum': { ttl: 10, loop_wait: 2, retry_timeout: 3, synchronous_mode: 'quorum' },
};

function speedOf(name: string, virtualMs: number, events: number, spentMs: number, hash: string): Speed {
  const clusterHours = virtualMs / 3_600_000;
  return { name, clusterHours, cpuSeconds: spentMs / 1000, hoursPerMinute: clusterHours / (spentMs / 60_000), events, hash };
}

/** Three nodes, no faults; with clients, one commit every five seconds or so. */
async function quiet(name: string, config: JsonObject, clients: boolean, budgetMs: number): Promise<Speed> {
  const world = await World.ready({ seed: 1, config });
  if (clients) world.clients.start(5000);
  const { now, events } = world.sim;
  const start = cpuMs();
  while (cpuMs() - start < budgetMs) await world.run(600_000);
  return speedOf(name, world.sim.now - now, world.sim.events - events, cpuMs() - start, world.hash());
}

/** Plans of the seeds from 1 on, each with its own size, settings and faults, until the time is up. */
async function swarm(budgetMs: number): Promise<Speed> {
  const start = cpuMs();
  let virtualMs = 0;
  let events = 0;
  let hash = '';
  for (let seed = 1; cpuMs() - start < budgetMs; seed += 1) {
    const outcome = await runPlan(drawPlan(seed));
    virtualMs += outcome.virtualMs;
    events += outcome.events;
    hash = outcome.hash;
  }
  return speedOf('drawn plans', virtualMs, events, cpuMs() - start, hash);
}

/** Every measurement takes about `budgetMs`; the first is for warming up. */
export async function measureSpeed(budgetMs: number, tell: (speed: Speed) => void, only = ''): Promise<void> {
  const wanted = Object.entries(settings).filter(([name]) => name.includes(only));
  for (const [name, config] of wanted) {
    await quiet(name, config, false, budgetMs / 4);
    tell(await quiet(`quiet, ${name}`, config, false, budgetMs));
    tell(await quiet(`quiet with clients, ${name}`, config, true, budgetMs));
  }
  if ('drawn plans'.includes(only)) tell(await swarm(budgetMs * 2));
}
