/** Machines, agents and postmasters that stop, freeze or die. */
import { drawMs, drawTarget, type Fault, fault, targetOf } from './fault.ts';

export const nodeFaults: Readonly<Record<string, Fault>> = {
  crash: fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 500, 20_000) }),
    apply: (world, args) => {
      const machine = targetOf(world, args);
      machine.crash();
      world.sim.after(args.forMs, () => machine.boot());
    },
  }),
  'kill-agent': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 200, 15_000) }),
    apply: (world, args) => {
      const machine = targetOf(world, args);
      machine.killAgent();
      world.sim.after(args.forMs, () => machine.startAgent());
    },
  }),
  'freeze-agent': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 500, 15_000) }),
    apply: (world, args) => {
      const machine = targetOf(world, args);
      machine.freezeAgent();
      world.sim.after(args.forMs, () => machine.thawAgent());
    },
  }),
  'kill-postgres': fault({
    draw: drawTarget,
    apply: (world, args) => targetOf(world, args).server.die('was killed'),
  }),
  'fail-starts': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), times: rng.int(1, 2) }),
    apply: (world, args) => {
      const { server } = targetOf(world, args);
      server.failStarts = args.times;
      server.die('was killed');
    },
  }),
};
