/** An operator makes the cluster follow a server that nobody can reach, and thinks better of it. */
import { drawMs, type Fault, fault } from './fault.ts';

export const standbyClusterFaults: Readonly<Record<string, Fault>> = {
  'standby-cluster': fault({
    draw: (rng) => ({ forMs: drawMs(rng, 1000, 60_000) }),
    apply: (world, { forMs }) => {
      world.patchConfig({ standby_cluster: { host: 'elsewhere' } });
      world.sim.after(forMs, () => {
        // At the end of such a run the cluster is to follow the one that is there.
        if (!world.mended || world.outside === null) world.patchConfig({ standby_cluster: null });
      });
    },
  }),
};
