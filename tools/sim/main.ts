/** `regent sim`: cluster-years of faults in minutes, on the real agents. */
import { codeOf } from '../../src/support/errors.ts';
import { checkoutRoot } from '../root.ts';
import { bundleSimulator } from './bundle.ts';
import { hunt } from './hunt.ts';
import { count, Meter, pace, span, terminalOf } from './meter.ts';
import { EXIT, parseSimOptions, type SimOptions, USAGE } from './options.ts';
import { readPlan, savePlan } from './plan-file.ts';
import { Pool } from './pool.ts';
import type { Result } from './protocol.ts';
import { failureLine, failureText, shrunkText, verdictText } from './report.ts';
import { shrink } from './shrink.ts';
import { speedMain } from './speed.ts';
import { sameFailure, Tally } from './tally.ts';
import { zooMain } from './zoo-command.ts';

const SHRINK_RUNS = 400;
const SHRINK_MS = 60_000;
/** Of so many kinds of failures the shortest schedule is looked for. */
const SHRINK_KINDS = 3;
/** What goes wrong that often needs no more examples. */
const FAILURES_MAX = 50;
const MINUTE_MS = 60_000;

const say = (text: string) => void process.stdout.write(`${text}\n`);

/** Resolves to the exit code (EXIT). Throws what building the simulator throws. */
export async function simMain(args: readonly string[]): Promise<number> {
  let options: SimOptions | null;
  try {
    options = parseSimOptions(args);
  } catch (error) {
    if (codeOf(error) !== 'SIM_OPTION' || !(error instanceof Error)) throw error;
    process.stderr.write(`regent sim: ${error.message}\n${'mend' in error ? `  mend: ${error.mend}\n` : ''}`);
    return EXIT.usage;
  }
  if (options === null) {
    process.stdout.write(USAGE);
    return EXIT.pass;
  }
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  // Once: a person who presses Ctrl-C twice does not want to wait for the summary.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal);
  // A reader that has gone, such as head, has seen enough.
  process.stdout.on('error', onSignal);
  try {
    return await run(checkoutRoot(), options, stop.signal);
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal);
  }
}

async function run(root: string, options: SimOptions, signal: AbortSignal): Promise<number> {
  if (options.mode === 'zoo') return zooMain(root, options, signal);
  if (options.mode === 'speed') return speedMain(root, signal);
  const plan = options.mode === 'plan' ? await readPlan(options.file) : null;
  const pool = new Pool(await bundleSimulator(root), options.jobs);
  const close = () => void pool.close();
  signal.addEventListener('abort', close);
  try {
    if (options.mode === 'seeds') return await seeds(root, pool, options, signal);
    const traced = await (plan === null
      ? pool.seed('seed' in options ? options.seed : 0, { trace: true })
      : pool.plan(plan, { trace: true }));
    say(traced.lines.join('\n'));
    say(`\n${verdictText(traced)}`);
    const tally = new Tally();
    tally.add(traced.outcome);
    if (options.shrink && options.mode === 'one') await shorten(root, pool, traced, signal);
    return tally.exitCode(false);
  } catch (error) {
    if (codeOf(error) !== 'SIM_CLOSED') throw error;
    return EXIT.stopped;
  } finally {
    signal.removeEventListener('abort', close);
    await pool.close();
  }
}

async function seeds(root: string, pool: Pool, options: Extract<SimOptions, { mode: 'seeds' }>, signal: AbortSignal): Promise<number> {
  const { from, minutes } = options;
  const goal = options.seeds === null ? null : count(options.seeds);
  say(
    `simulating ${goal === null ? 'seeds' : `${goal} seeds`} from ${from} on, ${pool.jobs} at a time${minutes === null ? '' : `, for ${minutes} minutes`}`,
  );
  const tally = new Tally();
  const examples: Result[] = [];
  const meter = new Meter(terminalOf(process.stderr));
  meter.show(() => {
    const done = `${count(tally.seeds)}${goal === null ? '' : ` of ${goal}`} seeds, ${tally.failures === 0 ? 'none' : tally.kinds()} failed`;
    const left = minutes === null ? '' : `, ${span(Math.max(0, minutes * MINUTE_MS - meter.elapsedMs))} left`;
    return `${done} · ${pace(tally, meter.elapsedMs)}${left}`;
  });
  const over = () => signal.aborted || tally.failures >= FAILURES_MAX || (minutes !== null && meter.elapsedMs >= minutes * MINUTE_MS);
  const onResult = (result: Result) => {
    const isNew = tally.add(result.outcome);
    if (result.outcome.verdict === 'pass') return;
    meter.clear();
    say(isNew ? `\n${failureText(result)}\n` : failureLine(result));
    if (isNew) examples.push(result);
  };
  await hunt(pool, { from, seeds: options.seeds, onResult, over });
  const elapsedMs = meter.elapsedMs;
  meter.end();
  if (options.shrink && !signal.aborted) for (const example of examples.slice(0, SHRINK_KINDS)) await shorten(root, pool, example, signal);
  say(summary(tally, elapsedMs, signal.aborted));
  return tally.exitCode(signal.aborted);
}

function summary(tally: Tally, elapsedMs: number, stopped: boolean): string {
  const result = tally.failures === 0 ? `all ${count(tally.seeds)} seeds passed` : `${tally.kinds()} of ${count(tally.seeds)} seeds failed`;
  const early = stopped ? 'stopped by hand: ' : tally.failures >= FAILURES_MAX ? 'that is enough: ' : '';
  return `${early}${result}; ${pace(tally, elapsedMs)}; ${count(tally.acknowledged)} commits acknowledged`;
}

/** Nothing for a run that passed, or that has no schedule to shorten. */
async function shorten(root: string, pool: Pool, failed: Result, signal: AbortSignal): Promise<void> {
  if (failed.outcome.verdict === 'pass' || failed.described === '' || signal.aborted) return;
  const meter = new Meter(terminalOf(process.stderr));
  meter.show(() => `shortening the schedule of seed ${failed.plan.seed} for ${span(meter.elapsedMs)}`);
  try {
    const stillFails = async (plan: Result['plan']) => sameFailure((await pool.plan(plan)).outcome, failed.outcome);
    const limits = { runs: SHRINK_RUNS, untilMs: Date.now() + SHRINK_MS, now: Date.now, jobs: pool.jobs };
    const shrunk = await shrink(failed.plan, stillFails, limits);
    const { described } = await pool.plan(shrunk.plan);
    const file = await savePlan(root, `seed-${failed.plan.seed}`, shrunk.plan);
    meter.end();
    say(`\n${shrunkText(failed.plan, shrunk, described, file)}`);
  } catch (error) {
    if (codeOf(error) !== 'SIM_CLOSED') throw error;
  } finally {
    meter.end();
  }
}
