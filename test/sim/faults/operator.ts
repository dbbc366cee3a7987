/** What operators ask for at the wrong moment. */
import { drawMs, drawTarget, type Fault, fault, targetOf } from './fault.ts';

export const operatorFaults: Readonly<Record<string, Fault>> = {
  switchover: fault({
    draw: (rng, { nodes }) => ({ candidate: rng.chance(0.5) ? rng.pick(nodes) : '' }),
    apply: (world, { candidate }) => {
      const leader = world.holder;
      if (leader !== null) world.askFailover({ leader, ...(candidate === '' ? {} : { member: candidate }) });
    },
  }),
  restart: fault({
    draw: drawTarget,
    apply: (world, args) => {
      const machine = targetOf(world, args);
      if (machine.agent !== null) void machine.desk.restart({});
    },
  }),
  sigterm: fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 3000, 15_000) }),
    apply: (world, args) => {
      const machine = targetOf(world, args);
      machine.agent?.shutdown();
      world.sim.after(args.forMs, () => machine.startAgent());
    },
  }),
  reinitialize: fault({
    draw: (rng, { nodes }) => ({ on: rng.pick(nodes), force: rng.chance(0.5), fromLeader: rng.chance(0.5) }),
    apply: (world, { on, force, fromLeader }) => {
      const machine = world.node(on);
      if (machine.agent !== null) void machine.desk.reinitialize({ force, fromLeader });
    },
  }),
};
