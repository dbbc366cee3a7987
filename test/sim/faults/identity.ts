/** A live process in postmaster.pid that the agent does not know. */
import { drawMs, drawTarget, type Fault, fault, targetOf } from './fault.ts';

export const identityFaults: Readonly<Record<string, Fault>> = {
  /**
   * PostgreSQL itself, which an agent that is started again cannot tell from others, as its program
   * is wrapped in an unknown way. Its guard can.
   */
  'hide-server': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), awayMs: drawMs(rng, 100, 2000), forMs: drawMs(rng, 3000, 40_000) }),
    apply: (world, args) => {
      const machine = targetOf(world, args);
      const { server, guard } = machine;
      // Nobody who runs unfenced (paused, or about to be adopted) is hidden, asleep or not: nothing
      // could stop it.
      if (server.process === null || guard.frozen || (!server.inRecovery && guard.deadlineMs === null)) return;
      machine.killAgent();
      server.unseen = server.process;
      world.sim.after(args.awayMs, () => machine.startAgent());
      world.sim.after(args.forMs, () => {
        server.unseen = null;
      });
    },
  }),
  /** PostgreSQL is gone, and something else in its directory has its pid. */
  'take-pid': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 500, 20_000) }),
    apply: (world, args) => {
      const { server } = targetOf(world, args);
      server.pidTaken = true;
      server.die('was killed');
      world.sim.after(args.forMs, () => {
        server.pidTaken = false;
      });
    },
  }),
};
