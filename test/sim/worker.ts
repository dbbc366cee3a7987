/**
 * A worker thread that simulates what it is told to, one run at a time, and answers with what came
 * of it. Who talks to it is tools/sim/pool.ts.
 */
import { parentPort } from 'node:worker_threads';
import type { Answer, Request, Result } from '../../tools/sim/protocol.ts';
import { describePlan, drawPlan } from './plan.ts';
import { runPlan } from './run.ts';
import { focusedPlan } from './zoo/focus.ts';

async function simulate({ run, trace }: Request): Promise<Result> {
  const plan = 'plan' in run ? run.plan : run.focus === undefined ? drawPlan(run.seed) : focusedPlan(run.seed, run.focus);
  let lines: readonly string[] = [];
  const arrange = (world: { readonly lines: readonly string[] }) => {
    lines = world.lines;
  };
  const outcome = await runPlan(plan, trace ? { arrange } : {});
  return { plan, described: describePlan(plan), outcome, lines };
}

parentPort?.on('message', (request: Request) => {
  const answer = (what: Answer) => parentPort?.postMessage(what);
  simulate(request).then(
    (result) => answer({ id: request.id, result }),
    (error: unknown) => answer({ id: request.id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
