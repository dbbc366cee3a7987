/**
 * What the main thread and the simulating workers tell each other. Types only: the workers run a
 * bundle of their own.
 */
import type { Outcome, Plan } from '../../test/sim/plan.ts';
import type { Focus } from '../../test/sim/zoo/focus.ts';

export interface Request {
  readonly id: number;
  /** What to simulate: a seed to draw everything from, or a plan as it is. */
  readonly run: { readonly seed: number; readonly focus?: Focus } | { readonly plan: Plan };
  /** The whole trace is wanted. */
  readonly trace: boolean;
}

export interface Result {
  readonly plan: Plan;
  /** `describePlan`. */
  readonly described: string;
  readonly outcome: Outcome;
  /** The whole trace; empty unless it was asked for. */
  readonly lines: readonly string[];
}

export type Answer = { readonly id: number } & ({ readonly result: Result } | { readonly error: string });
