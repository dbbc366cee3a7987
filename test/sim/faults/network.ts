/** Cuts, lost replies and slow requests. */
import { drawMs, drawTarget, type Fault, fault, targetOf } from './fault.ts';

export const networkFaults: Readonly<Record<string, Fault>> = {
  'cut-etcd': fault({
    draw: (rng, options) => ({
      ...drawTarget(rng, options),
      way: rng.pick(['both', 'both', 'to', 'from']),
      forMs: drawMs(rng, 500, 15_000),
    }),
    apply: (world, args) => {
      const { name } = targetOf(world, args);
      if (args.way !== 'from') world.net.cutOneWay(name, 'etcd');
      if (args.way !== 'to') world.net.cutOneWay('etcd', name);
      world.sim.after(args.forMs, () => world.net.heal(name, 'etcd'));
    },
  }),
  'cut-nodes': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), from: rng.pick(options.nodes), forMs: drawMs(rng, 500, 20_000) }),
    apply: (world, args) => {
      const { name } = targetOf(world, args);
      if (name === args.from) return;
      world.net.cut(name, args.from);
      world.sim.after(args.forMs, () => world.net.heal(name, args.from));
    },
  }),
  isolate: fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 500, 20_000) }),
    apply: (world, args) => {
      const { name } = targetOf(world, args);
      const ends = ['etcd', ...world.machines.map((machine) => machine.name)].filter((end) => end !== name);
      for (const end of ends) world.net.cut(name, end);
      world.sim.after(args.forMs, () => {
        for (const end of ends) world.net.heal(name, end);
      });
    },
  }),
  'lose-replies': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), chance: rng.between(0.1, 0.9), forMs: drawMs(rng, 1000, 10_000) }),
    apply: (world, args) => {
      const { name } = targetOf(world, args);
      world.net.lostReplies.set(name, args.chance);
      world.sim.after(args.forMs, () => world.net.lostReplies.delete(name));
    },
  }),
  'slow-requests': fault({
    draw: (rng) => ({ chance: rng.between(0.05, 0.4), maxMs: drawMs(rng, 500, 12_000), forMs: drawMs(rng, 1000, 15_000) }),
    apply: (world, { chance, maxMs, forMs }) => {
      world.net.slowRequests = { chance, maxMs };
      world.sim.after(forMs, () => {
        world.net.slowRequests = { chance: 0, maxMs: 0 };
      });
    },
  }),
  'stop-etcd': fault({
    draw: (rng) => ({ forMs: drawMs(rng, 500, 15_000) }),
    apply: (world, { forMs }) => {
      world.etcd.stop();
      world.sim.after(forMs, () => world.etcd.start());
    },
  }),
};
