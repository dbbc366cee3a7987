/** Faults of which one alone is harmless, at the same moment. */
import { drawMs, drawTarget, type Fault, fault, targetOf } from './fault.ts';

export const togetherFaults: Readonly<Record<string, Fault>> = {
  /** kill -9 of all of a node but PostgreSQL: the kernel stops a primary. */
  'kill-guard-and-agent': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), agentFirst: rng.chance(0.5), forMs: drawMs(rng, 200, 30_000) }),
    apply: (world, args) => {
      const machine = targetOf(world, args);
      if (args.agentFirst) machine.killAgent();
      if (machine.guard.alive && machine.server.unseen === null) machine.guard.die();
      machine.killAgent();
      world.sim.after(args.forMs, () => machine.startAgent());
    },
  }),
};
