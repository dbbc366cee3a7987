/** etcd and its members. */
import { Etcd, type EtcdMember, MEMBERS } from '../etcd.ts';
import { drawMs, drawTarget, type Fault, fault, targetOf } from './fault.ts';

/** Its id. */
const STRANGER = '1154210934185629';

const memberOf = (index: number): EtcdMember => MEMBERS[index % MEMBERS.length]!;

export const etcdFaults: Readonly<Record<string, Fault>> = {
  'stop-etcd': fault({
    draw: (rng) => ({ forMs: drawMs(rng, 500, 15_000) }),
    apply: (world, { forMs }) => {
      world.etcd.stop();
      world.sim.after(forMs, () => world.etcd.start());
    },
  }),
  'etcd-leader-change': fault({
    draw: (rng) => ({ forMs: drawMs(rng, 200, 2500) }),
    apply: (world, { forMs }) => {
      world.etcd.stop();
      world.sim.after(forMs, () => {
        world.etcd.start();
        world.etcd.endWatches();
      });
    },
  }),
  'etcd-member': fault({
    draw: (rng) => ({ member: rng.int(0, 2), how: rng.pick(['down', 'cut off'] as const), forMs: drawMs(rng, 500, 20_000) }),
    apply: (world, { member, how, forMs }) => {
      world.etcd.spoil(memberOf(member), how);
      world.sim.after(forMs, () => world.etcd.mend(memberOf(member)));
    },
  }),
  'cut-etcd-member': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), member: rng.int(0, 2), forMs: drawMs(rng, 500, 20_000) }),
    apply: (world, args) => {
      const { name } = targetOf(world, args);
      world.net.cut(name, memberOf(args.member));
      world.sim.after(args.forMs, () => world.net.heal(name, memberOf(args.member)));
    },
  }),
  'etcd-full': fault({
    draw: (rng) => ({ forMs: drawMs(rng, 1000, 20_000) }),
    apply: (world, { forMs }) => {
      world.etcd.full = true;
      world.sim.after(forMs, () => {
        world.etcd.full = false;
      });
    },
  }),
  'break-watches': fault({ draw: () => ({}), apply: (world) => world.etcd.breakWatches() }),
  'slow-watches': fault({
    draw: (rng) => ({ lagMs: drawMs(rng, 500, 10_000), forMs: drawMs(rng, 1000, 20_000) }),
    apply: (world, { lagMs, forMs }) => {
      world.net.watchLagMs = lagMs;
      world.sim.after(forMs, () => {
        world.net.watchLagMs = 0;
      });
    },
  }),
};

/** Newer kinds: see index.ts. */
export const laterEtcdFaults: Readonly<Record<string, Fault>> = {
  /**
   * etcd advertises an address at which, on this node, another etcd listens; and the cluster's own
   * is away.
   */
  'stranger-etcd': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), forMs: drawMs(rng, 1000, 20_000) }),
    apply: (world, args) => {
      const machine = targetOf(world, args);
      machine.stranger = new Etcd(world.sim, 1, STRANGER);
      world.net.cut(machine.name, 'etcd');
      world.sim.after(args.forMs, () => {
        machine.stranger = null;
        world.net.heal(machine.name, 'etcd');
      });
    },
  }),
};
