/**
 * What a take-over by promises stumbles over: a leader that is away for a moment, and who has
 * promised by then.
 */
import type { Machine } from '../machine.ts';
import type { PlanOptions } from '../plan.ts';
import type { Rng } from '../rng.ts';
import type { World } from '../world.ts';
import { drawMs, type Fault, fault } from './fault.ts';

/** By then every voter that misses the leader has promised, or does not. */
const PROMISED_WITHIN_MS = 6000;
const LOOK_EVERY_MS = 2;

/** The others are cut off from it, and it from them; etcd is not. */
function setApart(world: World, { name }: Machine): () => void {
  const others = world.machines.map((machine) => machine.name).filter((other) => other !== name);
  for (const other of others) world.net.cut(name, other);
  return () => {
    for (const other of others) world.net.heal(name, other);
  };
}

const asleep = (machine: Machine): (() => void) => {
  if (!machine.up || machine.still) return () => {};
  machine.suspend();
  return () => machine.resume();
};

/** The first that has promised to leave its leader. */
function oncePromised(world: World, then: (machine: Machine) => void): void {
  const { sim, machines } = world;
  const before = new Set(machines.filter(({ server }) => server.fence !== null));
  const endMs = sim.now + PROMISED_WITHIN_MS;
  const look = () => {
    if (world.mended || sim.now >= endMs) return;
    const found = machines.find((machine) => machine.server.fence !== null && !before.has(machine));
    if (found !== undefined) then(found);
    else sim.after(LOOK_EVERY_MS, look);
  };
  look();
}

export const quorumFaults: Readonly<Record<string, Fault>> = {
  /** The leader stands still, or its voters do not reach it, about as long as nobody minds. */
  stumble: fault({
    draw: (rng) => ({ how: rng.pick(['sleep', 'apart'] as const), forMs: drawMs(rng, 300, 3500) }),
    apply: (world, { how, forMs }) => {
      const { leader } = world;
      if (leader === null) return;
      world.sim.after(forMs, how === 'sleep' ? asleep(leader) : setApart(world, leader));
    },
  }),
  /**
   * The leader is away, and the first voter that promises to leave it is started again, or its
   * agent is.
   */
  'restart-promised': fault({
    draw: (rng) => ({
      how: rng.pick(['sleep', 'apart'] as const),
      what: rng.pick(['agent', 'machine'] as const),
      afterMs: drawMs(rng, 0, 20),
      offMs: drawMs(rng, 20, 1500),
      leaderMs: drawMs(rng, 0, 3000),
    }),
    apply: (world, { how, what, afterMs, offMs, leaderMs }) => {
      const { leader, sim } = world;
      if (leader === null) return;
      const back = how === 'sleep' ? asleep(leader) : setApart(world, leader);
      sim.after(PROMISED_WITHIN_MS, back);
      oncePromised(world, (voter) => {
        sim.after(leaderMs, back);
        sim.after(afterMs, () => {
          if (what === 'agent') voter.killAgent();
          else voter.crash();
        });
        sim.after(afterMs + offMs, () => {
          if (what === 'agent') voter.startAgent();
          else voter.boot();
        });
      });
    },
  }),
  /** The leader is away while etcd takes its time, and it is back before etcd has answered. */
  'slow-take-over': fault({
    draw: (rng) => ({
      how: rng.pick(['sleep', 'apart'] as const),
      leaderMs: drawMs(rng, 0, 1000),
      maxMs: drawMs(rng, 200, 3000),
      slowMs: drawMs(rng, 500, 4000),
    }),
    apply: (world, { how, leaderMs, maxMs, slowMs }) => {
      const { leader, sim, net } = world;
      if (leader === null) return;
      const back = how === 'sleep' ? asleep(leader) : setApart(world, leader);
      sim.after(PROMISED_WITHIN_MS, back);
      oncePromised(world, () => {
        net.slowRequests = { chance: 0.5, maxMs };
        sim.after(leaderMs, back);
        sim.after(slowMs, () => {
          net.slowRequests = { chance: 0, maxMs: 0 };
        });
      });
    },
  }),
  /** etcd does not hear the leader, whose voters do; some of them leave it for a moment. */
  'vouch-and-miss': fault({
    draw: (rng, { nodes }) => ({
      forMs: drawMs(rng, 2000, 12_000),
      afterMs: drawMs(rng, 500, 6000),
      missMs: drawMs(rng, 300, 3000),
      first: rng.int(0, nodes.length - 2),
      count: rng.int(1, nodes.length - 1),
    }),
    apply: (world, { forMs, afterMs, missMs, first, count }) => {
      const { leader, machines, net, sim } = world;
      if (leader === null) return;
      net.cut(leader.name, 'etcd');
      sim.after(forMs, () => net.heal(leader.name, 'etcd'));
      const others = machines.filter((machine) => machine !== leader);
      const missing = [...others.slice(first), ...others.slice(0, first)].slice(0, count);
      sim.after(afterMs, () => {
        if (world.mended) return;
        for (const { name } of missing) net.cut(leader.name, name);
        sim.after(missMs, () => {
          for (const { name } of missing) net.heal(leader.name, name);
        });
      });
    },
  }),
  /**
   * etcd does not hear the leader, and soon its voters do not either. The agent of a voter is
   * started again right then.
   */
  'vouch-and-forget': fault({
    draw: (rng, { nodes }) => ({
      on: rng.pick(nodes),
      afterMs: drawMs(rng, 1300, 7000),
      offMs: drawMs(rng, 50, 1000),
      forMs: drawMs(rng, 500, 6000),
    }),
    apply: (world, { on, afterMs, offMs, forMs }) => {
      const { leader, sim } = world;
      const voter = world.node(on);
      if (leader === null) return;
      vanish(world, leader, { afterMs, forMs });
      if (voter === leader) return;
      sim.after(afterMs, () => !world.mended && voter.killAgent());
      sim.after(afterMs + offMs, () => voter.startAgent());
    },
  }),
  /**
   * The same, but the leader's own agent stands still right then, hears what was answered, and is
   * killed.
   */
  'vouch-and-die': fault({
    draw: (rng) => ({
      afterMs: drawMs(rng, 3500, 7000),
      stillMs: drawMs(rng, 300, 990),
      soonMs: drawMs(rng, 10, 100),
      forMs: drawMs(rng, 5000, 8000),
    }),
    apply: (world, { afterMs, stillMs, soonMs, forMs }) => {
      const { leader, sim } = world;
      if (leader === null) return;
      vanish(world, leader, { afterMs, forMs });
      sim.after(afterMs, () => !world.mended && leader.freezeAgent());
      sim.after(afterMs + stillMs, () => leader.thawAgent());
      sim.after(afterMs + stillMs + soonMs, () => !world.mended && leader.killAgent());
      sim.after(afterMs + forMs, () => leader.startAgent());
    },
  }),
};

/** It does not reach etcd, and after a while not its voters either. */
function vanish(world: World, leader: Machine, { afterMs, forMs }: { readonly afterMs: number; readonly forMs: number }): void {
  const { net, sim } = world;
  net.cut(leader.name, 'etcd');
  sim.after(afterMs + forMs, () => net.heal(leader.name, 'etcd'));
  sim.after(afterMs, () => {
    if (!world.mended) sim.after(forMs, setApart(world, leader));
  });
}

const drawFirst = (rng: Rng, { nodes }: PlanOptions) => ({ first: rng.int(0, nodes.length - 2) });

function othersOf({ machines }: World, leader: Machine, first: number): readonly Machine[] {
  const others = machines.filter((machine) => machine !== leader);
  return [...others.slice(first), ...others.slice(0, first)];
}

/** Several things in an order that chance seldom brings about: only where a focus asks for them. */
export const stagedQuorumFaults: Readonly<Record<string, Fault>> = {
  /**
   * The leader is missed and comes back, and all but the first that promised read in etcd that
   * /sync was written anew. Then it is missed again.
   */
  'missed-twice': fault({
    draw: (rng) => ({ soonMs: drawMs(rng, 100, 1200), deafMs: drawMs(rng, 1000, 3000) }),
    apply: (world, { soonMs, deafMs }) => {
      const { leader, sim, net, machines } = world;
      if (leader === null) return;
      const back = asleep(leader);
      sim.after(PROMISED_WITHIN_MS, back);
      oncePromised(world, (voter) => {
        const rest = machines.filter((machine) => machine !== voter && machine !== leader);
        for (const { name } of [...rest, { name: 'etcd' }]) net.cut(voter.name, name);
        back();
        sim.after(soonMs, () => {
          const again = world.mended ? () => {} : asleep(leader);
          for (const { name } of rest) net.heal(voter.name, name);
          sim.after(deafMs, () => {
            again();
            net.heal(voter.name, 'etcd');
          });
        });
      });
    },
  }),
  /**
   * A standby is cut off from the leader, and another confirms alone. Then the leader loses power,
   * and so does that one, for a moment, as soon as it has promised.
   */
  'restart-promised-witness': fault({
    draw: (rng, options) => ({ ...drawFirst(rng, options), aloneMs: drawMs(rng, 20, 250), offMs: drawMs(rng, 20, 200) }),
    apply: (world, { first, aloneMs, offMs }) => {
      const { leader, sim, net } = world;
      if (leader === null) return;
      const [behind] = othersOf(world, leader, first);
      if (behind === undefined) return;
      net.cut(leader.name, behind.name);
      sim.after(aloneMs, () => {
        leader.crash();
        net.heal(leader.name, behind.name);
        const witness = othersOf(world, leader, first)[1];
        const promised = () => {
          if (world.mended || sim.now > endMs || witness === undefined) return;
          if (witness.server.fence === null) return void sim.after(1, promised);
          witness.crash();
          sim.after(offMs, () => witness.boot());
        };
        const endMs = sim.now + PROMISED_WITHIN_MS;
        promised();
      });
      sim.after(aloneMs + 15_000, () => leader.boot());
    },
  }),
  /**
   * The leader loses power, and what the voters then ask of etcd may arrive when its lease is over.
   */
  'late-take-over': fault({
    draw: (rng) => ({ lateMs: drawMs(rng, 2000, 7000), slowMs: drawMs(rng, 300, 3000), forMs: drawMs(rng, 4000, 10_000) }),
    apply: (world, { lateMs, slowMs, forMs }) => {
      const { leader, sim, net } = world;
      if (leader === null) return;
      leader.crash();
      sim.after(forMs, () => leader.boot());
      oncePromised(world, () => {
        net.slowRequests = { chance: 1, maxMs: lateMs };
        sim.after(slowMs, () => {
          net.slowRequests = { chance: 0.4, maxMs: 1000 };
        });
        sim.after(10_000, () => {
          net.slowRequests = { chance: 0, maxMs: 0 };
        });
      });
    },
  }),
};
