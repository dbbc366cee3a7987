/** What a fault is: something drawn beforehand, and done to the world at its time. */
import type { Machine } from '../machine.ts';
import type { FaultArguments, PlanOptions } from '../plan.ts';
import type { Rng } from '../rng.ts';
import type { World } from '../world.ts';

export interface Fault<A extends FaultArguments = FaultArguments> {
  /** All chance there is in it. */
  readonly draw: (rng: Rng, options: PlanOptions) => A;
  /**
   * Does it, and plans its end where it has one. Draws nothing. A method, because a fault is given
   * only what it has drawn itself: the list of all faults need not know what that is.
   */
  apply(world: World, args: A): void;
}

export const fault = <A extends FaultArguments>(spec: Fault<A>): Fault => spec;

/** The node it befalls: that one, or the leader of that moment. */
export type Target = { readonly on: string; readonly leader: boolean };

/** Half of the time the leader: that is where it hurts. */
export const drawTarget = (rng: Rng, { nodes }: PlanOptions): Target => ({ on: rng.pick(nodes), leader: rng.chance(0.5) });

export const targetOf = (world: World, { on, leader }: Target): Machine => (leader ? world.leader : null) ?? world.node(on);

export const drawMs = (rng: Rng, low: number, high: number): number => Math.round(rng.between(low, high));
