/** S26: whoever knows that its cluster follows a server outside does not take writes. */
import type { Machine } from '../machine.ts';
import type { SimServer } from '../server.ts';
import type { World } from '../world.ts';
import { UNPAUSE_GRACE_MS } from './writers.ts';

type Report = (invariant: string, what: string) => void;

/** A start that was asked for before the agent knew comes to its end, and is then undone. */
const OPENING_MS = 2000;
/** A checkpoint, and a stop that waits for standbys. */
const STOP_MS = 20_000;

export class StandbyClusters {
  readonly #world: World;
  readonly #report: Report;
  /** Since when the agent that runs there has known it. */
  readonly #knownSince = new Map<Machine, number>();
  /**
   * Since when the server there has taken writes and could be stopped. Somebody may promote one by
   * hand at any time, and a shutdown checkpoint cannot be written while a disk hangs.
   */
  readonly #openSince = new Map<Machine, number>();

  constructor(world: World, report: Report) {
    this.#world = world;
    this.#report = report;
  }

  look(): void {
    for (const machine of this.#world.machines) {
      if (!knows(machine)) this.#knownSince.delete(machine);
      else if (!this.#knownSince.has(machine)) this.#knownSince.set(machine, this.#world.sim.now);
      const opens = machine.server.dir === 'valid' && machine.server.commits && !machine.server.diskHung;
      if (!opens) this.#openSince.delete(machine);
      else if (!this.#openSince.has(machine)) this.#openSince.set(machine, this.#world.sim.now);
      const openMs = this.#world.sim.now - (this.#openSince.get(machine) ?? this.#world.sim.now);
      if (openMs >= STOP_MS && this.#hasKnown(machine, STOP_MS))
        this.#report('S26', `${machine.name} still takes writes in a standby cluster`);
    }
  }

  /** A server is about to be promoted. */
  checkPromotion({ name }: SimServer): void {
    if (this.#hasKnown(this.#world.node(name), 0)) this.#report('S26', `${name} is promoted in a standby cluster`);
  }

  checkOpened({ name }: SimServer): void {
    if (this.#hasKnown(this.#world.node(name), OPENING_MS)) this.#report('S26', `${name} opens for writes in a standby cluster`);
  }

  /** In a pause the operator is in charge; an agent that does not run can do nothing. */
  #hasKnown(machine: Machine, forMs: number): boolean {
    const since = this.#knownSince.get(machine);
    if (since === undefined || machine.helpless || machine.believesPaused(UNPAUSE_GRACE_MS)) return false;
    const from = Math.max(since, machine.steadySince);
    return this.#world.sim.now - from >= forMs && !machine.server.diskHung;
  }
}

const knows = ({ agent }: Machine): boolean => agent?.rounds.last?.observation.settings.dynamic.standbyCluster != null;
