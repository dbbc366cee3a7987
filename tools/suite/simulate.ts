/**
 * The simulator's part of the suite: seeds that never change, some of them twice, and as many fresh
 * ones as fit in two minutes.
 */
import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { runCommand } from '../../src/support/exec.ts';
import { plural } from '../../src/support/plural.ts';
import { bundleSimulator } from '../sim/bundle.ts';
import { hunt } from '../sim/hunt.ts';
import { count, Meter, pace, terminalOf } from '../sim/meter.ts';
import { savePlan } from '../sim/plan-file.ts';
import { Pool } from '../sim/pool.ts';
import type { Result } from '../sim/protocol.ts';
import { failureLine, failureText, planCommand } from '../sim/report.ts';
import { Tally } from '../sim/tally.ts';
import type { Tally as TestTally } from './report.ts';

const FIXED_SEEDS = 200;
const TWICE_SEEDS = 20;
const FRESH_MS = 120_000;
/** Out of the way of the fixed ones, and of what people try by hand. */
const FRESH_FROM = 1_000_000;
const SHOWN = 3;
/**
 * So many fresh seeds may end without a primary in time, and are told but not counted. One in
 * thousands was there before this commit; a commit that breaks something shows in more of them. A
 * lost commit, a second primary or a crash always counts.
 */
const LIVENESS_TOLERATED = 3;

/** How many failures of fresh seeds count. */
export function countedFailures(tally: Pick<Tally, 'failuresOf'>): number {
  const grave = tally.failuresOf('safety') + tally.failuresOf('crash');
  const liveness = tally.failuresOf('liveness');
  return grave + (grave > 0 || liveness > LIVENESS_TOLERATED ? liveness : 0);
}

const say = (text: string) => void process.stdout.write(`${text}\n`);

/** The same for one commit on one day, another for the next. */
export function freshSeed(commit: string, day: string): number {
  return FRESH_FROM + (createHash('sha256').update(`${commit} ${day}`).digest().readUInt32BE() % 4_000_000_000);
}

async function commitOf(root: string): Promise<string> {
  const { code, stdout } = await runCommand('git', ['-C', root, 'rev-parse', 'HEAD'], { timeoutMs: 10_000 }).catch(() => ({
    code: 1,
    stdout: '',
  }));
  return code === 0 ? stdout.trim() : '';
}

interface Run {
  readonly tally: Tally;
  /** Each with the command that shows it again. */
  readonly failures: readonly string[];
}

interface Stretch {
  readonly from: number;
  readonly seeds: number | null;
  readonly untilMs: number;
}

/** Runs seeds one after another, and saves the plan of each that fails where its line says. */
export async function stretch(
  pool: Pick<Pool, 'jobs' | 'seed'>,
  title: string,
  { from, seeds, untilMs }: Stretch,
  { root, onResult }: { readonly root: string; readonly onResult?: (result: Result) => void },
): Promise<Run> {
  const tally = new Tally();
  const failed: Result[] = [];
  const meter = new Meter(terminalOf(process.stdout));
  meter.show(() => `${title}: ${count(tally.seeds)} done, ${tally.failures} failed · ${pace(tally, meter.elapsedMs)}`);
  const note = (result: Result) => {
    onResult?.(result);
    tally.add(result.outcome);
    if (result.outcome.verdict === 'pass') return;
    failed.push(result);
    if (tally.failures > SHOWN) return;
    meter.clear();
    say(failureText(result));
  };
  await hunt(pool, { from, seeds, onResult: note, over: () => Date.now() >= untilMs || tally.failures > 3 * SHOWN });
  const elapsedMs = meter.elapsedMs;
  meter.end();
  say(`${title}: ${count(tally.seeds)} seeds, ${tally.failures === 0 ? 'none' : tally.kinds()} failed; ${pace(tally, elapsedMs)}`);
  const failures: string[] = [];
  for (const result of failed) {
    const again = planCommand(await savePlan(root, `seed-${result.plan.seed}`, result.plan));
    say(`its schedule: ${again}`);
    failures.push(`${failureLine(result)}\n    its schedule: ${again}`);
  }
  return { tally, failures };
}

const counted = ({ tally, failures }: Run, failed = tally.failures): TestTally => ({
  passed: tally.seeds - tally.failures,
  failed,
  skipped: 0,
  failures: failed === 0 ? [] : failures,
});

const NOTHING: TestTally = { passed: 0, failed: 0, skipped: 0 };

async function freshStretch(root: string, pool: Pool): Promise<TestTally> {
  const from = freshSeed(await commitOf(root), new Date().toISOString().slice(0, 10));
  const title = `fresh seeds (again: ./regent sim --from ${from} --minutes 2)`;
  const run = await stretch(pool, title, { from, seeds: null, untilMs: Date.now() + FRESH_MS }, { root });
  const { tally } = run;
  const failed = countedFailures(tally);
  if (failed < tally.failures) {
    const found = plural(tally.failures, 'fresh seed');
    say(
      `${found} had no primary in time: found, not counted (up to ${LIVENESS_TOLERATED} are not); docs/simulator.md tells what to do with a failure`,
    );
  }
  return counted(run, failed);
}

/** Counts seeds as tests. `--fixed` among the arguments leaves the fresh ones out. */
export async function runSimulations(root: string, extra: readonly string[]): Promise<TestTally> {
  const pool = new Pool(await bundleSimulator(root), availableParallelism());
  try {
    const hashes = new Map<number, string>();
    const differing: string[] = [];
    const remember = ({ plan, outcome }: Result) => hashes.set(plan.seed, outcome.hash);
    const compare = ({ plan, outcome }: Result) => {
      if (hashes.get(plan.seed) === outcome.hash) return;
      const text = `seed ${plan.seed} did not go the same way twice: its traces are ${hashes.get(plan.seed)} and ${outcome.hash}`;
      differing.push(text);
      say(text);
    };
    const always = Number.POSITIVE_INFINITY;
    const fixed = await stretch(
      pool,
      `seeds 1 to ${FIXED_SEEDS}`,
      { from: 1, seeds: FIXED_SEEDS, untilMs: always },
      { root, onResult: remember },
    );
    const again = await stretch(
      pool,
      `seeds 1 to ${TWICE_SEEDS} again`,
      { from: 1, seeds: TWICE_SEEDS, untilMs: always },
      { root, onResult: compare },
    );
    const fresh = extra.includes('--fixed') ? NOTHING : await freshStretch(root, pool);
    const [first, second] = [counted(fixed), counted(again)];
    return {
      passed: first.passed + second.passed - differing.length + fresh.passed,
      failed: first.failed + second.failed + differing.length + fresh.failed,
      skipped: 0,
      failures: [first, second, fresh].flatMap(({ failures = [] }) => failures).concat(differing),
    };
  } finally {
    await pool.close();
  }
}
