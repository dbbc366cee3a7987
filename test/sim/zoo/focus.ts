/** A seed's plan, drawn under circumstances that are given. */
import type { JsonObject } from '../../../src/support/json.ts';
import { drawFaults } from '../faults/index.ts';
import { drawOptions } from '../options.ts';
import type { ClientOptions, Plan, PlanOptions } from '../plan.ts';
import { Rng } from '../rng.ts';

export type Focus = Partial<PlanOptions>;

/** A commit is under way at any moment. */
export const busy: ClientOptions = { everyMs: 15, routed: true, haproxy: false, stubborn: null, cancels: 0, local: 0 };

/** Of `postgresql`: data that left the history stay as they are. */
export const nothingMends = {
  use_pg_rewind: false,
  remove_data_directory_on_rewind_failure: false,
  remove_data_directory_on_diverged_timelines: false,
};

/**
 * These faults alone, one every two seconds for a minute, on nodes that have no tags, with short
 * leases.
 */
export function under(kinds: readonly string[], config: JsonObject = {}, more: Focus = {}): Focus {
  const timing = { ttl: 5, loop_wait: 1, retry_timeout: 2, primary_race_backoff: 0 };
  const rest = { tags: {}, outside: null, leftBroken: [], everyMs: 2000, fromMs: 8000, untilMs: 68_000, slowness: 1 };
  return { kinds, ...rest, config: { ...timing, ...config }, ...more };
}

export function focusedPlan(seed: number, { config, ...focus }: Focus): Plan {
  const rng = new Rng(seed).fork('plan');
  const drawn = drawOptions(rng.fork('options'), focus.nodes);
  const options: PlanOptions = { ...drawn, ...focus, config: { ...drawn.config, ...config } };
  return { seed, options, faults: drawFaults(rng.fork('faults'), options) };
}
