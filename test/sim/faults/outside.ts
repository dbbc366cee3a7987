/**
 * What befalls a server outside that the cluster follows at times, and what operators of two sites
 * do. Only in runs that have one.
 */
import { isPrefix } from '../wal.ts';
import type { World } from '../world.ts';
import { drawMs, type Fault, fault } from './fault.ts';

/** Its name, and the host that the setting names. */
export const OUTSIDE = 'outside';

const LOOK_MS = 100;
/** An operator who switches sites in good order waits so long, and then goes on all the same. */
const PATIENCE_MS = 20_000;

export const outsideFaults: Readonly<Record<string, Fault>> = {
  /** A standby of this cluster is made there, where the cluster leads itself. */
  'outside-copy': fault({ draw: () => ({}), apply: (world) => world.outside?.copy(world) }),
  'outside-promote': fault({ draw: () => ({}), apply: (world) => world.outside?.promote() }),
  'outside-failover': fault({
    draw: (rng) => ({ lostBytes: rng.pick([0, 0, 500, 5000]) }),
    apply: (world, { lostBytes }) => world.outside?.failOver(lostBytes),
  }),
  'outside-away': fault({
    draw: (rng) => ({ how: rng.pick(['cut', 'stop', 'crash']), forMs: drawMs(rng, 500, 20_000) }),
    apply: (world, { how, forMs }) => {
      const { outside, net, sim } = world;
      if (outside === null) return;
      if (how === 'cut') net.isolate(OUTSIDE);
      else if (how === 'stop') outside.stop();
      else outside.crash();
      sim.after(forMs, () => {
        if (how === 'cut') net.join(OUTSIDE);
        else if (!world.mended) outside.boot();
      });
    },
  }),
  /**
   * early: the other site is opened while this one still leads, as where it seems to be lost.
   * Otherwise it is once it has all that was written here, or after a while.
   */
  'demote-cluster': fault({
    draw: (rng) => ({ early: rng.chance(0.3), lateMs: drawMs(rng, 0, 5000) }),
    apply: (world, { early, lateMs }) => {
      const { outside, sim } = world;
      if (outside === null || world.orders.followsRemote) return;
      if (early) outside.promote();
      sim.after(early ? lateMs : 0, () => world.mended || world.patchConfig({ standby_cluster: { host: OUTSIDE } }));
      if (!early)
        once(
          world,
          () => world.leader === null && hasAll(world),
          () => sim.after(lateMs, () => outside.promote()),
        );
    },
  }),
  'promote-cluster': fault({
    draw: (rng) => ({ inOrder: rng.chance(0.6), backMs: drawMs(rng, 5000, 30_000) }),
    apply: (world, { inOrder, backMs }) => {
      const { outside, sim } = world;
      if (outside === null || !world.orders.followsRemote) return;
      if (!inOrder) return void world.patchConfig({ standby_cluster: null });
      outside.stop();
      once(
        world,
        () => outside.server.process === null && isDrained(world),
        () => world.patchConfig({ standby_cluster: null }),
      );
      sim.after(backMs, () => world.mended || outside.copy(world));
    },
  }),
};

export const stagedOutsideFaults: Readonly<Record<string, Fault>> = {
  /**
   * The address leads to a server of quite another cluster, until its operator sees that. A leader
   * refuses the setting then, and goes on, which checkers/standby-clusters.ts does not know of.
   */
  'outside-exchange': fault({
    draw: (rng) => ({ forMs: drawMs(rng, 2000, 20_000) }),
    apply: (world, { forMs }) => {
      const putRight = world.outside?.exchange(world);
      if (putRight !== undefined) world.sim.after(forMs, putRight);
    },
  }),
  /**
   * The other site is opened while this one goes on, and one member gets nothing of what is written
   * here meanwhile. Then the cluster is to follow the other site.
   */
  'outlive-outside': fault({
    draw: (rng, { nodes }) => ({ of: rng.int(0, nodes.length - 2), lateMs: drawMs(rng, 1000, 4000), forMs: drawMs(rng, 500, 3000) }),
    apply: (world, { of, lateMs, forMs }) => {
      const { leader, machines, outside, net, sim } = world;
      const cutOff = machines.filter((machine) => machine !== leader)[of];
      if (leader === null || cutOff === undefined || outside === null || world.orders.followsRemote) return;
      for (const { name } of machines) if (name !== cutOff.name) net.cut(name, cutOff.name);
      outside.promote();
      sim.after(lateMs, () => world.mended || world.patchConfig({ standby_cluster: { host: OUTSIDE } }));
      sim.after(lateMs + forMs, () => {
        for (const { name } of machines) net.heal(name, cutOff.name);
      });
    },
  }),
};

/** No member has WAL that the server outside lacks. */
const hasAll = ({ outside, machines }: World): boolean =>
  outside !== null && machines.every(({ server }) => server.dir !== 'valid' || isPrefix(server.position, outside.server.position));

/** The leader of the standby cluster has all that was written outside. */
export const isDrained = ({ outside, keyHolder }: World): boolean =>
  outside !== null && keyHolder !== null && isPrefix(outside.server.position, keyHolder.server.position);

function once(world: World, is: () => boolean, then: () => void): void {
  const endMs = world.sim.now + PATIENCE_MS;
  const look = () => {
    if (world.mended) return;
    if (is() || world.sim.now >= endMs) then();
    else world.sim.after(LOOK_MS, look);
  };
  look();
}
