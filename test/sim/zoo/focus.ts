/** A seed's plan, drawn under circumstances that are given. */
import { drawFaults } from '../faults/index.ts';
import { drawOptions } from '../options.ts';
import type { Plan, PlanOptions } from '../plan.ts';
import { Rng } from '../rng.ts';

export type Focus = Partial<PlanOptions>;

export function focusedPlan(seed: number, { config, ...focus }: Focus): Plan {
  const rng = new Rng(seed).fork('plan');
  const drawn = drawOptions(rng.fork('options'));
  const options: PlanOptions = { ...drawn, ...focus, config: { ...drawn.config, ...config } };
  return { seed, options, faults: drawFaults(rng.fork('faults'), options) };
}
