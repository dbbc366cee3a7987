/**
 * Every agent that is broken on purpose is noticed, on a seed that the whole agent passes. How soon
 * without help: docs/simulator.md.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkoutRoot } from '../../../tools/root.ts';
import { Control, type Measure, measure } from '../../../tools/sim/zoo.ts';
import { mutants } from './index.ts';
import type { Mutant } from './mutant.ts';

const root = checkoutRoot();
/**
 * The seeds that noticed them when `regent sim --zoo --hints` was last run. A change of the agent
 * or the models may have moved them a little.
 */
const hints = JSON.parse(readFileSync(join(import.meta.dirname, 'hints.json'), 'utf8')) as Readonly<Record<string, number>>;
const SEEDS = 300;
/** Generous: in the suite it runs on what processor time the integration tests leave. */
const TIMEOUT_MS = 900_000;
let control: Control;

beforeAll(async () => {
  control = await Control.open(root, 1);
});
afterAll(() => control.close());

async function look(mutant: Mutant): Promise<Measure> {
  const search = { enough: 1, jobs: 1, ...(mutant.focus === undefined ? {} : { focus: mutant.focus }) };
  const hinted = await measure(root, mutant, control, { ...search, from: hints[mutant.id] ?? 1, seeds: 1 });
  return hinted.sightings.length > 0 ? hinted : measure(root, mutant, control, { ...search, from: 1, seeds: SEEDS });
}

describe.concurrent('the simulator notices', () => {
  it.each(mutants.map((mutant) => [mutant.id, mutant] as const))('%s', { timeout: TIMEOUT_MS }, async (id, mutant) => {
    const { sightings } = await look(mutant);
    expect(sightings, `${mutant.broken} Not noticed in ${SEEDS} seeds: try regent sim --zoo ${id} --hints`).toHaveLength(1);
  });
});
