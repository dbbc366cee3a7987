/** What keeps an agent from doing its chores, and from nothing else. */
import { drawMs, drawTarget, type Fault, fault, targetOf } from './fault.ts';

export const choreFaults: Readonly<Record<string, Fault>> = {
  /** A bind-mounted pg_hba.conf, or `chattr +i` on that file or on postgresql.conf too. */
  'stick-files': fault({
    draw: (rng, options) => ({
      ...drawTarget(rng, options),
      which: rng.pick(['access', 'access', 'all'] as const),
      forMs: drawMs(rng, 2000, 40_000),
    }),
    apply: (world, args) => {
      const { server } = targetOf(world, args);
      server.stuckFiles = args.which;
      world.sim.after(args.forMs, () => {
        server.stuckFiles = 'none';
      });
    },
  }),
  'take-slots': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 2000, 40_000) }),
    apply: (world, args) => {
      const { server } = targetOf(world, args);
      server.slotsTaken = true;
      world.sim.after(args.forMs, () => {
        server.slotsTaken = false;
      });
    },
  }),
  /** Data, WAL and files on one disk that takes nothing. */
  'read-only-disk': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 2000, 40_000) }),
    apply: (world, args) => {
      const { server } = targetOf(world, args);
      server.full = 'wal';
      server.stuckFiles = 'all';
      world.sim.after(args.forMs, () => {
        server.full = 'no';
        server.stuckFiles = 'none';
      });
    },
  }),
  'lose-scripts': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 500, 20_000) }),
    apply: (world, args) => {
      const { server } = targetOf(world, args);
      server.scriptsGone = true;
      world.sim.after(args.forMs, () => {
        server.scriptsGone = false;
      });
    },
  }),
};
