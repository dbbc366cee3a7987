/** Machines, agents and postmasters that stop, freeze or die. */
import type { Machine } from '../machine.ts';
import { drawMs, drawTarget, type Fault, fault, targetOf } from './fault.ts';

const FOREIGN_SYSTEM = '7400000000000000001';

export function emptyForeign(machine: Machine): void {
  if (machine.server.systemId !== FOREIGN_SYSTEM) return;
  machine.crash();
  machine.loseDisk();
  machine.boot();
}

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
  /**
   * The whole machine stands still and goes on as if nothing had happened: a virtual machine that
   * is paused, or a laptop.
   */
  sleep: fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 500, 40_000) }),
    apply: (world, args) => {
      const machine = targetOf(world, args);
      if (!machine.up) return;
      machine.suspend();
      world.sim.after(args.forMs, () => machine.resume());
    },
  }),
  'lose-disk': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 500, 20_000) }),
    apply: (world, args) => {
      const machine = targetOf(world, args);
      // What nobody could get over, no policy promises to.
      if (!machine.up || !world.checkers.promises.canLose(machine)) return;
      machine.crash();
      machine.loseDisk();
      world.sim.after(args.forMs, () => machine.boot());
    },
  }),
  /** The right machine with the wrong disk in it, and later with an empty one. */
  'foreign-disk': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 5000, 30_000) }),
    apply: (world, args) => {
      const machine = targetOf(world, args);
      if (!machine.up || !world.checkers.promises.canLose(machine)) return;
      machine.crash();
      machine.loseDisk();
      machine.server.dir = 'valid';
      machine.server.initialize(FOREIGN_SYSTEM);
      machine.boot();
      world.sim.after(args.forMs, () => emptyForeign(machine));
    },
  }),
  /**
   * Agent and guard stand still, PostgreSQL goes on: beyond any fence but a quorum (docs/SPEC.md,
   * "exceptions").
   */
  'freeze-both': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 5000, 40_000) }),
    apply: (world, args) => {
      const machine = targetOf(world, args);
      // The guard alone can stop a server that the agent does not know.
      if (machine.server.unseen !== null) return;
      machine.freezeAgent();
      machine.guard.freeze();
      world.sim.after(args.forMs, () => {
        machine.guard.thaw();
        machine.thawAgent();
      });
    },
  }),
  'kill-guard': fault({
    draw: drawTarget,
    apply: (world, args) => {
      const { guard, server } = targetOf(world, args);
      // Of a server that its agent does not know after a restart nobody else could stop it: two
      // faults in one node (docs/limits.md).
      if (guard.alive && server.unseen === null) guard.die();
    },
  }),
  'mute-guard': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 500, 15_000) }),
    apply: (world, args) => {
      const { guard } = targetOf(world, args);
      guard.mute = true;
      world.sim.after(args.forMs, () => {
        guard.mute = false;
        guard.heardAgainAt = world.sim.now;
      });
    },
  }),
  'set-clock': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), stepMs: drawMs(rng, -3_600_000, 3_600_000) }),
    apply: (world, args) => {
      targetOf(world, args).clock.wallOffsetMs += args.stepMs;
    },
  }),
};
