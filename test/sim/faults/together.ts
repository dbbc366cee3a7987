/** Faults of which one alone is harmless, at the same moment. */
import { drawMs, drawTarget, type Fault, fault, targetOf } from './fault.ts';

export const togetherFaults: Readonly<Record<string, Fault>> = {
  /** kill -9 of all of a node, on a machine that goes on; somebody starts its agent again. */
  'kill-all-processes': fault({
    draw: (rng, options) => ({
      ...drawTarget(rng, options),
      postgresAfterMs: drawMs(rng, 0, 50),
      agentAfterMs: rng.pick([drawMs(rng, 0, 100), drawMs(rng, 100, 1000), drawMs(rng, 1000, 20_000)]),
    }),
    apply: (world, args) => {
      const machine = targetOf(world, args);
      if (machine.guard.alive && machine.server.unseen === null) machine.guard.die();
      machine.killAgent();
      world.sim.after(args.postgresAfterMs, () => machine.server.die('was killed'));
      world.sim.after(args.agentAfterMs, () => machine.startAgent());
    },
  }),
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
