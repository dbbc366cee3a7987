/** What befalls the way from clients to the leader. */
import { drawMs, type Fault, fault } from './fault.ts';

export const routingFaults: Readonly<Record<string, Fault>> = {
  /** HAProxy's checks decide alone. Without HAProxy nothing happens. */
  'kill-router': fault({
    draw: (rng) => ({ forMs: drawMs(rng, 1000, 30_000) }),
    apply: (world, { forMs }) => {
      world.routing?.kill();
      world.sim.after(forMs, () => world.routing?.start());
    },
  }),
};
