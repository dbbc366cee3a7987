/**
 * Several things that go wrong in an order that chance seldom brings about. Only where a focus asks
 * for them.
 */
import type { EtcdCopy, KeyEvent } from '../etcd.ts';
import type { Machine } from '../machine.ts';
import type { PlanOptions } from '../plan.ts';
import type { Rng } from '../rng.ts';
import type { World } from '../world.ts';
import { drawMs, type Fault, fault } from './fault.ts';
import { openByHand } from './history.ts';

/** `of` says which of the other members it befalls, whichever leads then. */
const drawOther = (rng: Rng, { nodes }: PlanOptions) => ({ of: rng.int(0, nodes.length - 2) });

/**
 * Who leads, and the others, the one it befalls first; null: nobody leads, or nobody else is there.
 */
function cast(world: World, of: number): { readonly leader: Machine; readonly others: readonly Machine[] } | null {
  const { leader, machines } = world;
  if (leader === null || machines.length < 2) return null;
  const others = machines.filter((machine) => machine !== leader);
  return { leader, others: [...others.slice(of), ...others.slice(0, of)] };
}

export const stagedFaults: Readonly<Record<string, Fault>> = {
  /** A firewall in front of one member refuses its connections to the leader. */
  'reject-leader': fault({
    draw: (rng, { nodes }) => ({ on: rng.pick(nodes), forMs: drawMs(rng, 500, 5000) }),
    apply: (world, { on, forMs }) => {
      const { leader, net, sim } = world;
      if (leader === null || leader.name === on) return;
      net.reject(on, leader.name);
      sim.after(forMs, () => net.heal(on, leader.name));
    },
  }),
  /**
   * The leader loses power, and is back as a standby. It is off again for a moment, and then etcd
   * is restored as it was when that one led, under machines that were switched off.
   */
  'restore-etcd': fault({
    draw: (rng) => ({ agoMs: drawMs(rng, 15_000, 20_000), awayMs: drawMs(rng, 300, 3000), forMs: drawMs(rng, 500, 3000) }),
    apply: (world, { agoMs, awayMs, forMs }) => {
      const { leader, orders, sim } = world;
      if (leader === null) return;
      const copy = world.etcd.copy();
      leader.crash();
      sim.after(orders.ttlMs + 2000, () => leader.boot());
      sim.after(agoMs - awayMs, () => !world.mended && leader.crash());
      sim.after(agoMs, () => restore(world, copy, forMs));
    },
  }),
  /**
   * A standby crashes, and when the leader has taken it from /sync, the leader loses etcd at once.
   * The one that is left in /sync hears the leader no more; the other is back, and vouches for it.
   */
  'change-sync-and-vanish': fault({
    draw: (rng, options) => ({
      ...drawOther(rng, options),
      lateMs: drawMs(rng, 0, 60),
      missMs: drawMs(rng, 200, 1500),
      forMs: drawMs(rng, 6000, 12_000),
    }),
    apply: (world, { of, lateMs, missMs, forMs }) => {
      const found = cast(world, of);
      if (found === null) return;
      const { etcd, net, sim } = world;
      const { leader, others } = found;
      const [crashed, ...left] = others;
      crashed?.server.die('was killed');
      const onKey = ({ key }: KeyEvent) => {
        const { sync } = etcd.view();
        if (key !== 'sync' || crashed === undefined || sync === null || sync.standbys.includes(crashed.name)) return;
        etcd.listeners.delete(onKey);
        sim.after(lateMs, () => net.cut(leader.name, 'etcd'));
        sim.after(lateMs + missMs, () => {
          for (const { name } of left) net.cut(leader.name, name);
        });
        sim.after(lateMs + missMs + forMs, () => {
          net.heal(leader.name, 'etcd');
          for (const { name } of left) net.heal(leader.name, name);
        });
      };
      etcd.listeners.add(onKey);
      sim.after(5000, () => etcd.listeners.delete(onKey));
    },
  }),
  /**
   * The leader goes on without agent and guard, and about when its lease is over a standby hears no
   * more of etcd.
   */
  'zombie-leader': fault({
    draw: (rng, options) => ({ ...drawOther(rng, options), lateMs: drawMs(rng, -1500, 2500), forMs: drawMs(rng, 3000, 10_000) }),
    apply: (world, { of, lateMs, forMs }) => {
      const found = cast(world, of);
      if (found === null) return;
      const { leader, others } = found;
      const deaf = others[0]?.name ?? '';
      const overMs = world.orders.ttlMs;
      leader.freezeAgent();
      leader.guard.freeze();
      world.sim.after(Math.max(0, overMs + lateMs), () => !world.mended && world.net.cut(deaf, 'etcd'));
      world.sim.after(overMs + lateMs + forMs, () => {
        world.net.heal(deaf, 'etcd');
        leader.guard.thaw();
        leader.thawAgent();
      });
    },
  }),
  /**
   * A standby is cut off from the leader, and another confirms alone. Then the leader loses power
   * and that one too, which comes back when the lease is over.
   */
  'lose-witness': fault({
    draw: (rng, options) => ({ ...drawOther(rng, options), aloneMs: drawMs(rng, 20, 300), lateMs: drawMs(rng, -2000, 500) }),
    apply: (world, { of, aloneMs, lateMs }) => {
      const found = cast(world, of);
      if (found === null) return;
      const { leader, others } = found;
      const behind = others[0]?.name ?? '';
      const backMs = aloneMs + world.orders.ttlMs + lateMs;
      world.net.cut(leader.name, behind);
      world.sim.after(aloneMs, () => {
        leader.crash();
        for (const witness of others.slice(1)) witness.crash();
        world.net.heal(leader.name, behind);
      });
      world.sim.after(backMs, () => {
        for (const witness of others.slice(1)) witness.boot();
      });
      world.sim.after(backMs + 10_000, () => leader.boot());
    },
  }),
  /**
   * A standby is opened for writes by hand, the leader loses power, and then the standby's agent,
   * which has seen both, is started again.
   */
  'stray-and-restart': fault({
    draw: (rng, options) => ({
      ...drawOther(rng, options),
      leaderMs: drawMs(rng, 0, 40),
      agentMs: drawMs(rng, 3000, 4500),
      forMs: drawMs(rng, 8000, 15_000),
    }),
    apply: (world, { of, leaderMs, agentMs, forMs }) => {
      const found = cast(world, of);
      if (found === null) return;
      const { leader, others } = found;
      const strayed = others[0] ?? leader;
      openByHand(world, strayed.name);
      world.sim.after(leaderMs, () => leader.crash());
      world.sim.after(leaderMs + forMs, () => leader.boot());
      world.sim.after(agentMs, () => strayed.killAgent());
      world.sim.after(agentMs + 300, () => strayed.startAgent());
    },
  }),
  /**
   * The leader loses power. The member promoted after it is cut off at once, and writes WAL that no
   * standby gets. The next one's timeline has the same number. That one loses power soon, and the
   * other is back.
   */
  'leave-twin': fault({
    draw: (rng) => ({ lateMs: drawMs(rng, 500, 3000), soonMs: drawMs(rng, 50, 1500) }),
    apply: (world, { lateMs, soonMs }) => {
      const { leader, machines, net, sim } = world;
      if (leader === null) return;
      leader.crash();
      sim.after(world.orders.ttlMs + lateMs, () => leader.boot());
      onceLed(world, machines, (first) => {
        const ends = ['etcd', ...machines.map(({ name }) => name)].filter((end) => end !== first.name);
        for (const end of ends) net.cut(first.name, end);
        const rest = machines.filter((machine) => machine !== first);
        onceLed(world, rest, (second) => {
          sim.after(soonMs, () => {
            second.crash();
            for (const end of ends) net.heal(first.name, end);
          });
          sim.after(soonMs + 15_000, () => second.boot());
        });
      });
    },
  }),
  /**
   * The leader's PostgreSQL is killed or restarted, or its machine loses power, and at once an
   * operator switches synchronous mode off. It is on again as soon as somebody is about to open for
   * writes, which was decided in between. That one loses power soon.
   */
  'switch-sync-off-and-on': fault({
    draw: (rng) => ({ how: rng.pick(['kill', 'restart', 'crash'] as const), soonMs: drawMs(rng, 20, 400), forMs: drawMs(rng, 500, 5000) }),
    apply: (world, { how, soonMs, forMs }) => {
      const { leader, machines, orders, sim } = world;
      if (leader === null || orders.mode === 'off') return;
      const { mode } = orders;
      const backOn = () => orders.mode === 'off' && world.patchConfig({ synchronous_mode: mode });
      world.patchConfig({ synchronous_mode: 'off' });
      if (how === 'kill') leader.server.die('was killed');
      else if (how === 'crash') leader.crash();
      else if (leader.agent !== null) void leader.operator.restart({});
      sim.after(orders.ttlMs + PROMOTED_WITHIN_MS, () => {
        backOn();
        leader.boot();
      });
      once(world, machines, isOpening, backOn);
      onceLed(world, machines, (next) => {
        sim.after(soonMs, () => next.crash());
        sim.after(soonMs + forMs, () => next.boot());
      });
    },
  }),
  /**
   * Synchronous mode is switched off, and on again while the leader's checkpointer syncs files. Its
   * standbys fall behind, and it loses power.
   */
  'switch-sync-on-unheeded': fault({
    draw: (rng) => ({ busyMs: drawMs(rng, 4000, 12_000), soonMs: drawMs(rng, 500, 4000), forMs: drawMs(rng, 500, 5000) }),
    apply: (world, { busyMs, soonMs, forMs }) => {
      const { leader, machines, orders, sim, net } = world;
      if (leader === null || orders.mode === 'off') return;
      const { mode } = orders;
      world.patchConfig({ synchronous_mode: 'off' });
      const endMs = sim.now + PROMOTED_WITHIN_MS;
      const onceOff = () => {
        if (world.mended) return;
        if (leader.server.obeyed !== '' && sim.now < endMs) return void sim.after(50, onceOff);
        leader.server.sessions.checkpointerBusyUntilMs = sim.now + busyMs;
        if (orders.mode === 'off') world.patchConfig({ synchronous_mode: mode });
        const others = machines.filter((machine) => machine !== leader);
        sim.after(soonMs, () => {
          for (const { name } of others) net.cut(leader.name, name);
        });
        sim.after(soonMs + UNHEARD_MS, () => {
          leader.crash();
          for (const { name } of others) net.heal(leader.name, name);
        });
        sim.after(soonMs + UNHEARD_MS + forMs, () => leader.boot());
      };
      onceOff();
    },
  }),
};

/** Long enough for a commit that no standby gets. */
const UNHEARD_MS = 60;

const PROMOTED_WITHIN_MS = 30_000;

/** It is being promoted, or starts as a primary. */
const isOpening = ({ server: { process, inRecovery } }: Machine): boolean =>
  process?.promoting === true || (process?.phase === 'starting' && !inRecovery);

/** When one of these opens for writes under the leader key. */
function onceLed(world: World, machines: readonly Machine[], then: (machine: Machine) => void): void {
  once(world, machines, ({ server, name }) => server.writable && world.holder === name, then);
}

/** The first of these of which that is so, before everything is mended. */
function once(world: World, machines: readonly Machine[], is: (machine: Machine) => boolean, then: (machine: Machine) => void): void {
  const endMs = world.sim.now + PROMOTED_WITHIN_MS;
  const looks = machines.map((machine) => {
    const look = () => {
      if (!world.mended && world.sim.now < endMs && !is(machine)) return;
      for (const [index, other] of machines.entries()) other.server.onChange.delete(looks[index] ?? look);
      if (!world.mended && world.sim.now < endMs) then(machine);
    };
    return look;
  });
  for (const [index, machine] of machines.entries()) machine.server.onChange.add(looks[index] ?? (() => {}));
}

function restore(world: World, copy: EtcdCopy, forMs: number): void {
  if (world.mended) return;
  world.trace('etcd is restored from an older backup');
  for (const machine of world.machines) machine.crash();
  world.etcd.restore(copy);
  world.checkers.keysRestored();
  world.sim.after(forMs, () => {
    for (const machine of world.machines) machine.boot();
  });
}
