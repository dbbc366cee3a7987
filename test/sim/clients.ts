/** Clients that write, through a router and, stubbornly, straight to a node; and the record of what they were told. */
import type { Lsn } from '../../src/core/units.ts';
import type { Machine } from './machine.ts';
import type { Rng } from './rng.ts';
import { type Branch, commitsIn } from './wal.ts';
import type { World } from './world.ts';

export interface Acknowledged {
  readonly id: number;
  readonly node: string;
  readonly branch: Branch;
  readonly lsn: Lsn;
  readonly at: number;
  /** synchronous_standby_names that was in force when the commit was acknowledged. */
  readonly rule: string;
}

export class Clients {
  readonly acknowledged: Acknowledged[] = [];
  readonly #world: World;
  readonly #rng: Rng;
  attempts = 0;
  #nextId = 1;
  #writing = false;

  constructor(world: World) {
    this.#world = world;
    this.#rng = world.rng.fork('clients');
  }

  /** One commit on that node; `false` when it was refused. Whether it is acknowledged shows later. */
  write(machine: Machine): boolean {
    const { net, sim } = this.#world;
    const { server } = machine;
    if (!net.up('client', machine.name)) return false;
    const id = this.#nextId;
    this.#nextId += 1;
    this.attempts += 1;
    const branch = server.position.branch;
    let at: Lsn | null = null;
    const acknowledge = () => {
      const rule = server.live.syncNames;
      sim.after(0, () => {
        if (at !== null) this.acknowledged.push({ id, node: machine.name, branch, lsn: at, at: sim.now, rule });
      });
    };
    at = server.commit(id, acknowledge);
    return at !== null;
  }

  /** One writer follows the leader key, one goes to any node at all; until stop(). */
  start(everyMs: number): void {
    if (this.#writing) return;
    this.#writing = true;
    const next = () => {
      if (!this.#writing) return;
      const { leader, machines } = this.#world;
      if (leader !== null) this.write(leader);
      this.write(this.#rng.pick(machines));
      this.#world.sim.after(this.#rng.between(everyMs / 2, everyMs * 1.5), next);
    };
    next();
  }

  stop(): void {
    this.#writing = false;
  }

  /** What was acknowledged and is not on that node. */
  missingOn(machine: Machine): readonly Acknowledged[] {
    const there = commitsIn(machine.server.position);
    return this.acknowledged.filter((commit) => !there.has(commit.id));
  }
}
