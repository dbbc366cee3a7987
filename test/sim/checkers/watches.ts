/**
 * S19, the quick part of it: every change of etcd's keys reaches every agent, however often its
 * watch broke.
 */
import type { World } from '../world.ts';

/** An agent whose watch does not stand looks for another member this long at most. */
const TOLD_MS = 45_000;

export class Watches {
  readonly #world: World;
  /** Per agent and key: when it changed, for each change that the agent has not heard of. */
  readonly #untold = new Map<string, Map<string, number[]>>();

  constructor(world: World) {
    this.#world = world;
    for (const { name } of world.machines) this.#untold.set(name, new Map());
    world.etcd.listeners.add(({ key }) => {
      for (const keys of this.#untold.values()) {
        const times = keys.get(key);
        if (times === undefined) keys.set(key, [world.sim.now]);
        else times.push(world.sim.now);
      }
    });
  }

  /** null: of everything, because something may have been missed. */
  heard(name: string, key: string | null): void {
    const keys = this.#untold.get(name);
    if (key === null) keys?.clear();
    else keys?.get(key)?.shift();
  }

  /** Where nothing stands in the way any more: agents that were not told of a change. */
  deaf(): readonly string[] {
    const { sim, machines } = this.#world;
    return machines.flatMap(({ name, helpless }) => {
      if (helpless) return [];
      const missed = [...(this.#untold.get(name) ?? [])].filter(([, [at]]) => at !== undefined && sim.now - at > TOLD_MS);
      return missed.length === 0 ? [] : [`${name} (${missed.map(([key]) => key).join(', ')})`];
    });
  }
}
