/** Broken agents, and how many seeds it takes until one of them is noticed. */

import type { Outcome } from '../../test/sim/plan.ts';
import type { Focus } from '../../test/sim/zoo/focus.ts';
import type { Mutant } from '../../test/sim/zoo/mutant.ts';
import { bundleSimulator } from './bundle.ts';
import { crashOf } from './hunt.ts';
import { Pool } from './pool.ts';
import type { Result } from './protocol.ts';
import { kindOf } from './tally.ts';

/**
 * Where the mutants are, read when they are wanted: they change without the program being built
 * anew.
 */
const CATALOG = 'test/sim/zoo/index.ts';

/** A run of a broken agent that never ends shows soon enough. */
export const MUTANT_RUN_MS = 20_000;

/** Throws SIM_BUILD. */
export async function loadMutants(root: string): Promise<readonly Mutant[]> {
  const { build } = await import('esbuild');
  const result = await build({
    absWorkingDir: root,
    entryPoints: [CATALOG],
    write: false,
    bundle: true,
    format: 'esm',
    logLevel: 'silent',
  });
  const code = Buffer.from(result.outputFiles[0]?.text ?? '').toString('base64');
  const { mutants } = (await import(`data:text/javascript;base64,${code}`)) as { mutants: readonly Mutant[] };
  return mutants;
}

export interface Sighting {
  readonly seed: number;
  /** The how-manieth seed it was, from 1. */
  readonly at: number;
  readonly kind: string;
  readonly message: string;
}

export interface Measure {
  readonly mutant: Mutant;
  /** Seeds that a whole agent passes and this one did not, in order. */
  readonly sightings: readonly Sighting[];
  /** Seeds tried. */
  readonly tried: number;
}

export interface Search {
  readonly from: number;
  readonly seeds: number;
  /** Enough sightings. */
  readonly enough: number;
  readonly jobs: number;
  readonly focus?: Focus;
  readonly over?: () => boolean;
}

/**
 * What the whole agent does with a seed: whatever it fails itself proves nothing about a broken
 * one.
 */
export class Control {
  readonly #pool: Pool;
  readonly #passes = new Map<string, Promise<boolean>>();

  private constructor(pool: Pool) {
    this.#pool = pool;
  }

  static async open(root: string, jobs: number): Promise<Control> {
    return new Control(new Pool(await bundleSimulator(root), jobs, MUTANT_RUN_MS));
  }

  passes(seed: number, focus: Focus | undefined): Promise<boolean> {
    const key = `${seed} ${JSON.stringify(focus)}`;
    const known = this.#passes.get(key);
    if (known !== undefined) return known;
    const passed = runSeed(this.#pool, seed, focus).then((result) => result.outcome.verdict === 'pass');
    this.#passes.set(key, passed);
    return passed;
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}

const runSeed = (pool: Pool, seed: number, focus: Focus | undefined): Promise<Result> =>
  pool.seed(seed, focus === undefined ? {} : { focus }).catch((error: unknown) => crashOf(seed, error));

/**
 * Runs seeds in order until the mutant was noticed often enough. What it fails in another way than
 * its own does not count. Throws MUTANT_STALE, MUTANT_BROKEN, SIM_BUILD.
 */
export async function measure(root: string, mutant: Mutant, control: Control, search: Search): Promise<Measure> {
  const pool = new Pool(await bundleSimulator(root, mutant.edits), search.jobs, MUTANT_RUN_MS);
  const sightings: Sighting[] = [];
  let tried = 0;
  try {
    while (tried < search.seeds && sightings.length < search.enough && search.over?.() !== true) {
      const batch = Array.from({ length: Math.min(search.jobs, search.seeds - tried) }, (_, i) => search.from + tried + i);
      const results = await Promise.all(batch.map((seed) => runSeed(pool, seed, search.focus)));
      for (const result of results) {
        if (sightings.length >= search.enough) break;
        tried += 1;
        const { seed } = result.plan;
        if (!isItsOwn(mutant, result.outcome) || !(await control.passes(seed, search.focus))) continue;
        sightings.push({ seed, at: tried, kind: kindOf(result.outcome), message: result.outcome.message.split('\n')[0] ?? '' });
      }
    }
  } finally {
    await pool.close();
  }
  return { mutant, sightings, tried };
}

/**
 * By a verdict it should be noticed by, and for a promise it breaks: what else fails may have been
 * coming anyway.
 */
const isItsOwn = (mutant: Mutant, { verdict, invariant }: Outcome): boolean =>
  mutant.verdicts.includes(verdict) && (invariant === undefined || mutant.offends.includes(invariant));

/** Of the distances from one sighting to the next; null: there was none. */
export function medianSeeds({ sightings }: Measure): number | null {
  const gaps = sightings.map(({ at }, i) => at - (sightings[i - 1]?.at ?? 0)).sort((a, b) => a - b);
  return gaps[Math.floor((gaps.length - 1) / 2)] ?? null;
}
