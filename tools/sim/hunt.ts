/** Runs seed after seed, as many at once as there are workers. */

import { codeOf, ensureError } from '../../src/support/errors.ts';
import { drawPlan, type Outcome } from '../../test/sim/plan.ts';
import type { Pool } from './pool.ts';
import type { Result } from './protocol.ts';

export interface Hunt {
  readonly from: number;
  /** null: until it is called off. */
  readonly seeds: number | null;
  readonly onResult: (result: Result) => void;
  /** Asked before each run. */
  readonly over: () => boolean;
}

const SEEDS = 2 ** 32;

/**
 * A run that did not end, or took its worker with it, is a crash like another. Rethrows SIM_CLOSED.
 */
export function crashOf(seed: number, error: unknown): Result {
  if (codeOf(error) === 'SIM_CLOSED') throw error;
  const outcome: Outcome = {
    verdict: 'crash',
    message: ensureError(error).message,
    hash: '',
    virtualMs: 0,
    events: 0,
    acknowledged: 0,
    tail: [],
  };
  return { plan: drawPlan(seed), described: '', outcome, lines: [] };
}

/** Resolves when all are done or it was called off. */
export async function hunt(pool: Pick<Pool, 'jobs' | 'seed'>, { from, seeds, onResult, over }: Hunt): Promise<void> {
  let next = 0;
  const one = async () => {
    while (!over() && (seeds === null || next < seeds)) {
      const seed = (from + next) % SEEDS;
      next += 1;
      let result: Result;
      try {
        result = await pool.seed(seed).catch((error: unknown) => crashOf(seed, error));
      } catch {
        return;
      }
      onResult(result);
    }
  };
  await Promise.all(Array.from({ length: pool.jobs }, one));
}
