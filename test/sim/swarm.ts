/**
 * Random histories: a seed draws which faults there are, how often, and when. Then everything is
 * mended, and the cluster has to come back.
 */
import type { JsonObject } from '../../src/support/json.ts';
import type { Machine } from './machine.ts';
import { Rng } from './rng.ts';
import { World } from './world.ts';

type Fault = (world: World, rng: Rng) => void;

const anyOf = (world: World, rng: Rng): Machine => rng.pick(world.machines);
/** Half of the time the leader: that is where it hurts. */
const target = (world: World, rng: Rng): Machine => (rng.chance(0.5) ? (world.leader ?? anyOf(world, rng)) : anyOf(world, rng));

const ends = (from: string, to: string): [string, string] => [from, to];

const faults: Readonly<Record<string, Fault>> = {
  crash: (world, rng) => {
    const machine = target(world, rng);
    machine.crash();
    world.sim.after(rng.between(500, 20_000), () => machine.boot());
  },
  'kill-agent': (world, rng) => {
    const machine = target(world, rng);
    machine.killAgent();
    world.sim.after(rng.between(200, 15_000), () => machine.startAgent());
  },
  'freeze-agent': (world, rng) => {
    const machine = target(world, rng);
    machine.freezeAgent();
    world.sim.after(rng.between(500, 15_000), () => machine.thawAgent());
  },
  'kill-postgres': (world, rng) => target(world, rng).server.die('was killed'),
  'fail-starts': (world, rng) => {
    const { server } = target(world, rng);
    server.failStarts = rng.int(1, 2);
    server.die('was killed');
  },
  'cut-etcd': (world, rng) => {
    const { name } = target(world, rng);
    const oneWay = rng.chance(0.3);
    if (oneWay) world.net.cutOneWay(...(rng.chance(0.5) ? ends(name, 'etcd') : ends('etcd', name)));
    else world.net.cut(name, 'etcd');
    world.sim.after(rng.between(500, 15_000), () => world.net.heal(name, 'etcd'));
  },
  'cut-nodes': (world, rng) => {
    const a = target(world, rng);
    const b = anyOf(world, rng);
    if (a === b) return;
    world.net.cut(a.name, b.name);
    world.sim.after(rng.between(500, 20_000), () => world.net.heal(a.name, b.name));
  },
  isolate: (world, rng) => {
    const { name } = target(world, rng);
    const ends = ['etcd', ...world.machines.map((machine) => machine.name)].filter((end) => end !== name);
    for (const end of ends) world.net.cut(name, end);
    world.sim.after(rng.between(500, 20_000), () => {
      for (const end of ends) world.net.heal(name, end);
    });
  },
  'lose-replies': (world, rng) => {
    const { name } = target(world, rng);
    world.net.lostReplies.set(name, rng.between(0.1, 0.9));
    world.sim.after(rng.between(1000, 10_000), () => world.net.lostReplies.delete(name));
  },
  'slow-requests': (world, rng) => {
    world.net.slowRequests = { chance: rng.between(0.05, 0.4), maxMs: rng.between(500, 12_000) };
    world.sim.after(rng.between(1000, 15_000), () => {
      world.net.slowRequests = { chance: 0, maxMs: 0 };
    });
  },
  'stop-etcd': (world, rng) => {
    world.etcd.stop();
    world.sim.after(rng.between(500, 15_000), () => world.etcd.start());
  },
  switchover: (world, rng) => {
    const candidate = rng.chance(0.5) ? { member: anyOf(world, rng).name } : {};
    world.askFailover({ leader: world.holder ?? 'a', ...candidate });
  },
  restart: (world, rng) => {
    const machine = target(world, rng);
    if (machine.agent !== null) void machine.operator.restart({});
  },
  sigterm: (world, rng) => {
    const machine = target(world, rng);
    machine.agent?.shutdown();
    world.sim.after(rng.between(3000, 15_000), () => machine.startAgent());
  },
  reinitialize: (world, rng) => {
    const machine = anyOf(world, rng);
    if (machine.agent !== null) void machine.operator.reinitialize({ force: rng.chance(0.5), fromLeader: rng.chance(0.5) });
  },
};

/**
 * A failover by name is the operator's own override: it may lose commits, and a machine that sleeps
 * wakes up unfenced. Neither is drawn here.
 */
export interface SwarmOptions {
  readonly seed: number;
  readonly config: JsonObject;
  readonly faultMs: number;
  readonly noLoss: boolean;
  readonly nodes?: readonly string[];
  /** Largest relative error of a machine's clock. */
  readonly drift?: number;
  readonly kinds?: readonly string[];
}

const SETTLE_MS = 120_000;
const SUPERVISE_MS = 5000;

export async function runSwarm(options: SwarmOptions): Promise<World> {
  const rng = new Rng(options.seed).fork('swarm');
  const nodes = options.nodes ?? ['a', 'b', 'c'];
  const drift = options.drift ?? 0.002;
  const rates = Object.fromEntries(nodes.map((name) => [name, 1 + rng.between(-drift, drift)]));
  const world = new World({ seed: options.seed, config: options.config, nodes, rates, etcdRate: 1 + rng.between(-drift, drift) });
  const kinds = (options.kinds ?? Object.keys(faults)).filter(() => rng.chance(0.5));
  const everyMs = rng.between(800, 8000);
  world.trace(`seed ${options.seed}: ${kinds.join(', ') || 'no faults'}, one every ${everyMs.toFixed(0)} ms`);
  world.checkers.noLoss = options.noLoss;
  world.startAll();
  await world.expect('a healthy cluster', () => world.healthy(), 60_000);
  world.clients.start(rng.between(10, 60));
  const end = world.sim.now + options.faultMs;
  while (world.sim.now < end && kinds.length > 0) {
    await world.run(rng.between(0, 2 * everyMs));
    const kind = rng.pick(kinds);
    world.trace(`fault ${kind}`);
    faults[kind]?.(world, rng);
  }
  mend(world);
  // An agent that was just ending needs somebody to start it again.
  const supervise = () => {
    for (const machine of world.machines) machine.startAgent();
    world.sim.after(SUPERVISE_MS, supervise);
  };
  supervise();
  await world.expect('a healthy cluster after everything was mended', () => world.recovered(), SETTLE_MS);
  const before = world.clients.acknowledged.length;
  await world.expect('acknowledged commits', () => world.clients.acknowledged.length > before + 5, 30_000);
  if (options.noLoss) world.checkers.checkLoss();
  world.checkers.assertClean();
  return world;
}

function mend(world: World): void {
  world.trace('everything is mended');
  world.net.healAll();
  world.etcd.start();
  for (const machine of world.machines) {
    machine.server.failStarts = 0;
    machine.boot();
    machine.startAgent();
    machine.thawAgent();
  }
}
