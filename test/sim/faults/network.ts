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
    draw: (rng) => ({ chance: rng.between(0.05, 0.9), maxMs: drawMs(rng, 500, 12_000), forMs: drawMs(rng, 1000, 15_000) }),
    apply: (world, { chance, maxMs, forMs }) => {
      world.net.slowRequests = { chance, maxMs };
      world.sim.after(forMs, () => {
        world.net.slowRequests = { chance: 0, maxMs: 0 };
      });
    },
  }),
  'slow-replies': fault({
    draw: (rng) => ({ chance: rng.between(0.2, 1), maxMs: drawMs(rng, 500, 4000), forMs: drawMs(rng, 1000, 15_000) }),
    apply: (world, { chance, maxMs, forMs }) => {
      world.net.slowReplies = { chance, maxMs };
      world.sim.after(forMs, () => {
        world.net.slowReplies = { chance: 0, maxMs: 0 };
      });
    },
  }),
  'cut-clients': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 500, 20_000) }),
    apply: (world, args) => {
      const { name } = targetOf(world, args);
      world.net.cut(name, 'client');
      world.sim.after(args.forMs, () => world.net.heal(name, 'client'));
    },
  }),
  'cut-one-way': fault({
    draw: (rng, { nodes }) => ({ from: rng.pick(nodes), to: rng.pick(nodes), forMs: drawMs(rng, 500, 20_000) }),
    apply: (world, { from, to, forMs }) => {
      if (from === to) return;
      world.net.cutOneWay(from, to);
      world.sim.after(forMs, () => world.net.heal(from, to));
    },
  }),
  /** Two sides; etcd is with the first or with the second. */
  halves: fault({
    draw: (rng, { nodes }) => ({
      side: nodes.filter(() => rng.chance(0.5)).join(' '),
      etcdThere: rng.chance(0.5),
      forMs: drawMs(rng, 500, 20_000),
    }),
    apply: (world, { side, etcdThere, forMs }) => {
      const there = [...side.split(' ').filter((name) => name !== ''), ...(etcdThere ? ['etcd'] : [])];
      const here = [...world.machines.map(({ name }) => name), 'etcd'].filter((name) => !there.includes(name));
      const pairs = there.flatMap((a) => here.map((b) => [a, b] as const));
      for (const [a, b] of pairs) world.net.cut(a, b);
      world.sim.after(forMs, () => {
        for (const [a, b] of pairs) world.net.heal(a, b);
      });
    },
  }),
  /**
   * Links go one after the other and come back in another order. `links`: a-b@from-to in ms,
   * separated by spaces.
   */
  swizzle: fault({
    draw: (rng, { nodes }) => {
      const node = rng.pick(nodes);
      const ends = [...nodes, 'etcd'].filter((end) => end !== node);
      const links = ends.map((end) => `${node}-${end}@${drawMs(rng, 0, 4000)}-${drawMs(rng, 4000, 20_000)}`);
      return { links: links.join(' ') };
    },
    apply: (world, { links }) => {
      for (const link of links.split(' ')) {
        const [, a, b, from, to] = /^(\w+)-(\w+)@(\d+)-(\d+)$/.exec(link) ?? [];
        if (a === undefined || b === undefined) throw new RangeError(`not a link: ${link}`);
        world.sim.after(Number(from), () => world.mended || world.net.cut(a, b));
        world.sim.after(Number(to), () => world.net.heal(a, b));
      }
    },
  }),
};
