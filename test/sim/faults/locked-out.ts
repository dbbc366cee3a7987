/** Servers that do not let their agents in any more: what is connected goes on. */
import { drawMs, drawTarget, type Fault, fault, targetOf } from './fault.ts';

export const lockOutFaults: Readonly<Record<string, Fault>> = {
  /**
   * A changed password is every node's, a lack of free connections one node's. An agent that is
   * started again has nothing from before.
   */
  'lock-out': fault({
    draw: (rng, options) => ({
      ...drawTarget(rng, options),
      everywhere: rng.chance(0.4),
      restarts: rng.chance(0.4),
      forMs: drawMs(rng, 2000, 60_000),
    }),
    apply: (world, args) => {
      const target = targetOf(world, args);
      const befallen = args.everywhere ? world.machines : [target];
      for (const { server } of befallen) server.lockedOut = true;
      if (args.restarts) {
        target.killAgent();
        target.startAgent();
      }
      world.sim.after(args.forMs, () => {
        for (const { server } of befallen) server.lockedOut = false;
      });
    },
  }),
};
