/** A leader that goes on without etcd, and what then becomes of those who have agreed to that. */
import type { Machine } from '../machine.ts';
import type { World } from '../world.ts';
import { drawMs, type Fault, fault } from './fault.ts';

function others(world: World, leader: Machine, first: number, count: number): readonly Machine[] {
  const all = world.machines.filter((machine) => machine !== leader);
  const from = first % Math.max(1, all.length);
  return [...all.slice(from), ...all.slice(0, from)].slice(0, count);
}

function apart(world: World, leader: Machine, members: readonly Machine[], forMs: number): void {
  if (world.mended) return;
  for (const { name } of members) world.net.cut(leader.name, name);
  world.sim.after(forMs, () => {
    for (const { name } of members) world.net.heal(leader.name, name);
  });
}

function withoutEtcd(world: World, leader: Machine, forMs: number): void {
  world.net.cut(leader.name, 'etcd');
  world.sim.after(forMs, () => world.net.heal(leader.name, 'etcd'));
}

export const failsafeFaults: Readonly<Record<string, Fault>> = {
  /**
   * The leader alone does not reach etcd, for longer than its key lasts. Meanwhile some members do
   * not reach it, or their agents are started again.
   */
  'lead-alone': fault({
    draw: (rng, { nodes }) => ({
      forMs: drawMs(rng, 6000, 30_000),
      afterMs: drawMs(rng, 2000, 12_000),
      missMs: drawMs(rng, 500, 20_000),
      offMs: drawMs(rng, 50, 2000),
      restarts: rng.chance(0.5),
      first: rng.int(0, nodes.length - 2),
      count: rng.int(1, nodes.length - 1),
    }),
    apply: (world, { forMs, afterMs, missMs, offMs, restarts, first, count }) => {
      const { leader, sim } = world;
      if (leader === null) return;
      withoutEtcd(world, leader, forMs);
      const some = others(world, leader, first, count);
      sim.after(afterMs, () => {
        if (!restarts) return apart(world, leader, some, missMs);
        if (!world.mended) for (const machine of some) machine.killAgent();
        sim.after(offMs, () => {
          for (const machine of some) machine.startAgent();
        });
      });
    },
  }),
  /**
   * The same, and one of those that are asked answers seconds after the others. Then nobody reaches
   * the leader any more.
   */
  'agree-late': fault({
    draw: (rng, { nodes }) => ({
      forMs: drawMs(rng, 8000, 25_000),
      afterMs: drawMs(rng, 3000, 10_000),
      lateMs: drawMs(rng, 500, 3900),
      thenMs: drawMs(rng, 10, 300),
      missMs: drawMs(rng, 3000, 15_000),
      late: rng.int(0, nodes.length - 2),
    }),
    apply: (world, { forMs, afterMs, lateMs, thenMs, missMs, late }) => {
      const { leader, sim } = world;
      if (leader === null) return;
      withoutEtcd(world, leader, forMs);
      sim.after(afterMs, () => {
        const [slow] = others(world, leader, late, 1);
        if (world.mended || slow === undefined || slow.agent === null) return;
        slow.freezeAgent();
        sim.after(lateMs, () => slow.thawAgent());
        sim.after(lateMs + thenMs, () => apart(world, leader, others(world, leader, 0, world.machines.length), missMs));
      });
    },
  }),
};
