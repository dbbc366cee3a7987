/**
 * S23, with primary_race_backoff: nobody races in less than one loop_wait for the key of a leader
 * whose PostgreSQL has been running all the while.
 */
import type { Machine } from '../machine.ts';
import type { SimServer } from '../server.ts';
import type { World } from '../world.ts';

type Report = (invariant: string, what: string) => void;

interface Vacancy {
  readonly former: Machine;
  readonly process: SimServer['process'];
  readonly atMs: number;
}

/** Clocks of machines differ by less. */
const DRIFT = 0.005;
/** For so long some agents may go by the configuration before. */
const CONFIG_KNOWN_MS = 60_000;
const PAUSE_KNOWN_MS = 5000;
/** By then every agent has read that this one leads. */
const KNOWN_LOOPS = 3;

export class Backoffs {
  readonly #world: World;
  readonly #report: Report;
  #takenAtMs = 0;
  #vacancy: Vacancy | null = null;

  constructor(world: World, report: Report) {
    this.#world = world;
    this.#report = report;
  }

  /** The leader key was written or deleted; `former`: who had it before. */
  keyChanged(former: string | null): void {
    const { holder, sim, machines } = this.#world;
    if (holder === former) return;
    const { now } = sim;
    if (holder !== null) {
      if (this.#vacancy !== null) this.#check(this.#world.node(holder), this.#vacancy);
      this.#takenAtMs = now;
      this.#vacancy = null;
      return;
    }
    const machine = machines.find(({ name }) => name === former);
    const isKnown = now - this.#takenAtMs > KNOWN_LOOPS * this.#world.orders.backoff.leastMs;
    this.#vacancy = machine === undefined || !isKnown ? null : { former: machine, process: machine.server.process, atMs: now };
  }

  keysRestored(): void {
    this.#takenAtMs = this.#world.sim.now;
    this.#vacancy = null;
  }

  #check(taker: Machine, { former, process, atMs }: Vacancy): void {
    const { orders, sim } = this.#world;
    const { leastMs, sinceMs } = orders.backoff;
    const waitedMs = sim.now - atMs;
    if (taker === former || waitedMs >= leastMs * (1 - DRIFT) || sim.now - sinceMs < CONFIG_KNOWN_MS) return;
    if (orders.asks || taker.believesPaused(PAUSE_KNOWN_MS) || !this.#hasSeen(taker, former)) return;
    // One that has said meanwhile that its PostgreSQL is down is not waited for.
    if (process?.phase !== 'running' || former.server.process !== process || former.agent === null) return;
    this.#report('S23', `${taker.name} takes the leader key after ${waitedMs.toFixed(0)} ms: primary_race_backoff asks for ${leastMs} ms`);
  }

  /** Its agent sees it stream, and knew who led. */
  #hasSeen(taker: Machine, former: Machine): boolean {
    const { orders, sim } = this.#world;
    return taker.server.replication.source === former.server && sim.now - taker.steadySince > KNOWN_LOOPS * orders.backoff.leastMs;
  }
}
