/** PostgreSQL's processes and its disk. */
import { drawMs, drawTarget, type Fault, fault, targetOf } from './fault.ts';

export const postgresFaults: Readonly<Record<string, Fault>> = {
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
  'fail-promotions': fault({
    draw: (rng, { nodes }) => ({ on: rng.pick(nodes), times: rng.int(1, 2) }),
    apply: (world, { on, times }) => {
      world.node(on).server.failPromotions = times;
    },
  }),
  'kill-while-promoting': fault({
    draw: (rng, { nodes }) => ({ on: rng.pick(nodes), withinMs: 60_000, share: rng.next() }),
    apply: (world, { on, withinMs, share }) => {
      const { server } = world.node(on);
      const end = world.sim.now + withinMs;
      const look = () => {
        if (server.process?.promoting !== true) return;
        server.onChange.delete(look);
        if (world.sim.now <= end && !world.mended)
          server.later(share * server.durations.promoteMs[1], () => server.die('was killed in its promotion'));
      };
      server.onChange.add(look);
    },
  }),
  'freeze-postgres': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 500, 30_000) }),
    apply: (world, args) => {
      const { process } = targetOf(world, args).server;
      if (process === null) return;
      process.hung = true;
      world.sim.after(args.forMs, () => {
        process.hung = false;
      });
    },
  }),
  'freeze-postmaster': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 500, 30_000) }),
    apply: (world, args) => {
      const { process } = targetOf(world, args).server;
      if (process === null) return;
      process.postmasterHung = true;
      world.sim.after(args.forMs, () => {
        process.postmasterHung = false;
      });
    },
  }),
  'hang-disk': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 500, 30_000) }),
    apply: (world, args) => {
      const { server } = targetOf(world, args);
      server.hangDisk();
      world.sim.after(args.forMs, () => server.freeDisk());
    },
  }),
  'fill-disk': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), what: rng.pick(['wal', 'data'] as const), forMs: drawMs(rng, 500, 30_000) }),
    apply: (world, args) => {
      const { server } = targetOf(world, args);
      server.full = args.what;
      world.sim.after(args.forMs, () => {
        server.full = 'no';
      });
    },
  }),
  'archiver-hangs': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 2000, 120_000) }),
    apply: (world, args) => {
      targetOf(world, args).server.archiverBusyUntilMs = world.sim.now + args.forMs;
    },
  }),
  'pause-replay': fault({
    draw: (rng, { nodes }) => ({ on: rng.pick(nodes), forMs: drawMs(rng, 500, 20_000) }),
    apply: (world, { on, forMs }) => {
      const { server } = world.node(on);
      if (!server.inRecovery) return;
      server.replayPaused = true;
      world.sim.after(forMs, () => server.replayPaused && server.resumeReplay());
    },
  }),
  checkpoint: fault({
    draw: drawTarget,
    apply: (world, args) => {
      const { server } = targetOf(world, args);
      if (server.commits && !server.diskHung) server.checkpointed();
    },
  }),
};

export const laterPostgresFaults: Readonly<Record<string, Fault>> = {
  /** Its checkpointer syncs files, and takes up no signal meanwhile. */
  'busy-checkpointer': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 2000, 20_000) }),
    apply: (world, args) => {
      const { sessions } = targetOf(world, args).server;
      sessions.checkpointerBusyUntilMs = Math.max(sessions.checkpointerBusyUntilMs, world.sim.now + args.forMs);
    },
  }),
};
