/** What operators ask for at the wrong moment. */
import type { JsonObject } from '../../../src/support/json.ts';
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
      if (machine.agent !== null) void machine.operator.restart({});
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
      if (machine.agent !== null) void machine.operator.reinitialize({ force, fromLeader });
    },
  }),
  /** By name, whatever it costs. */
  failover: fault({
    draw: (rng, { nodes }) => ({ candidate: rng.pick(nodes) }),
    apply: (world, { candidate }) => world.askFailover({ member: candidate }),
  }),
  'schedule-switchover': fault({
    draw: (rng, { nodes }) => ({ candidate: rng.chance(0.5) ? rng.pick(nodes) : '', inMs: drawMs(rng, 500, 20_000) }),
    apply: (world, { candidate, inMs }) => {
      const leader = world.holder;
      if (leader === null) return;
      const at = new Date(world.node(leader).clock.wallMs() + inMs).toISOString();
      world.askFailover({ leader, scheduled_at: at, ...(candidate === '' ? {} : { member: candidate }) });
    },
  }),
  pause: fault({
    draw: (rng) => ({ forMs: drawMs(rng, 2000, 40_000) }),
    apply: (world, { forMs }) => {
      world.patchConfig({ pause: true });
      world.sim.after(forMs, () => world.patchConfig({ pause: false }));
    },
  }),
  configure: fault({
    draw: (rng, { nodes }) => ({ patch: JSON.stringify(rng.pick(patches(nodes.length))) }),
    apply: (world, { patch }) => world.patchConfig(JSON.parse(patch)),
  }),
};

/** What operators change while it works. */
function patches(size: number): readonly JsonObject[] {
  return [
    { synchronous_mode: 'on' },
    { synchronous_mode: 'quorum' },
    { synchronous_mode: 'off' },
    { synchronous_mode_strict: true },
    { synchronous_mode_strict: false },
    { synchronous_node_count: 1 },
    { synchronous_node_count: Math.max(1, size - 1) },
    { ttl: 5, loop_wait: 1, retry_timeout: 2 },
    { ttl: 20, loop_wait: 5, retry_timeout: 5 },
    { maximum_lag_on_failover: 1_000_000 },
    { primary_start_timeout: 0 },
    { primary_start_timeout: 60 },
  ];
}
