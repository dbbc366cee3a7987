/**
 * S2, the second line. The guard knows a deadline before its PostgreSQL takes writes, rests only
 * when it takes none, and is not needed while the agent lives.
 */
import type { Machine } from '../machine.ts';
import type { SimServer } from '../server.ts';
import type { World } from '../world.ts';

type Report = (invariant: string, what: string) => void;

/**
 * A guard that was just started is told its deadline in the next round, which may have to wait for
 * etcd.
 */
const YOUNG_MS = 15_000;
const UNPAUSE_GRACE_MS = 5000;
const SHORT_LEASE_MS = 10_000;

export class Fences {
  readonly #world: World;
  readonly #report: Report;

  constructor(world: World, report: Report) {
    this.#world = world;
    this.#report = report;
    for (const machine of world.machines) {
      machine.guard.onRest.add(() => this.#rests(machine));
      machine.guard.onFire.add(() => this.#fires(machine));
    }
  }

  /**
   * Before the first commit can be made there. A cluster that is being made has no guard until it
   * is published (docs/SPEC.md, "exceptions").
   */
  checkOpened(server: SimServer): void {
    const machine = this.#world.node(server.name);
    const { guard } = machine;
    if (server.dir !== 'valid' || machine.believesPaused(UNPAUSE_GRACE_MS) || this.#young(machine)) return;
    if (guard.deadlineMs === null) this.#report('S2', `${server.name} opens for writes before its guard knows a deadline`);
  }

  #rests(machine: Machine): void {
    if (machine.server.commits && machine.server.dir === 'valid' && !machine.believesPaused(UNPAUSE_GRACE_MS))
      this.#report('S2', `the guard of ${machine.name} is told to rest while PostgreSQL takes writes`);
  }

  #fires(machine: Machine): void {
    const { sim, orders } = this.#world;
    // What hangs cannot be stopped in good order, and a guard that does not listen keeps to what it
    // heard last.
    if (machine.guard.mute || sim.now - machine.guard.heardAgainAt < orders.ttlMs || machine.server.hangs || machine.server.unseen !== null)
      return;
    // With the shortest leases there is not room for several calls to an etcd that answers some of
    // them.
    const { net, etcd } = this.#world;
    if (etcd.full) return;
    if (orders.leaseMs < SHORT_LEASE_MS && (net.lostReplies.has(machine.name) || net.slowRequests.chance > 0 || net.slowReplies.chance > 0))
      return;
    if (!machine.server.commits || this.#young(machine) || sim.now - machine.steadySince < 2 * orders.ttlMs) return;
    this.#report('S2', `the guard of ${machine.name} had to stop PostgreSQL, although the agent was alive all the while`);
  }

  #young({ guard }: Machine): boolean {
    return !guard.alive || this.#world.sim.now - guard.startedAt < YOUNG_MS;
  }
}
