/** Carries a plan out: faults while it lasts, then everything is mended, and the cluster has to come back within a bound. */
import { ensureError } from '../../src/support/errors.ts';
import { applyFault } from './faults/index.ts';
import { mend, supervise } from './mend.ts';
import { describePlan, type Outcome, type Plan } from './plan.ts';
import { World } from './world.ts';

/** From the last fault's mending until the cluster has to be as it should be. */
const SETTLE_MS = 180_000;
/** … and until clients have had so many commits acknowledged after that. */
const COMMITS_MS = 30_000;
const COMMITS = 5;
/** Clients are busy around a fault, so that it strikes in the middle of commits and its end is seen at once. */
const BEFORE_FAULT_MS = 1000;
const AFTER_FAULT_MS = 10_000;
const TAIL = 200;

export interface RunHooks {
  /** Called before anything runs: the place to break an agent on purpose. */
  readonly arrange?: (world: World) => void;
}

type Failure = Pick<Outcome, 'verdict' | 'message'> & { readonly invariant?: string };

export async function runPlan(plan: Plan, hooks: RunHooks = {}): Promise<Outcome> {
  const world = new World({ ...plan.options, seed: plan.seed });
  world.trace(describePlan(plan));
  hooks.arrange?.(world);
  let failure: Failure | null = null;
  try {
    failure = await carryOut(plan, world);
  } catch (error) {
    failure = violationOf(world) ?? { verdict: 'crash', message: ensureError(error).stack ?? String(error) };
  }
  world.clients.stop();
  return {
    ...(failure ?? { verdict: 'pass', message: '' }),
    hash: world.hash(),
    virtualMs: world.sim.now,
    events: world.sim.events,
    acknowledged: world.clients.acknowledged.length,
    tail: world.lines.slice(-TAIL),
  };
}

async function carryOut(plan: Plan, world: World): Promise<Failure | null> {
  const { options, faults } = plan;
  const { sim, checkers, clients } = world;
  world.startAll();
  clients.start(options.clients);
  for (const fault of faults) {
    sim.at(Math.max(0, fault.at - BEFORE_FAULT_MS), () => clients.rush(BEFORE_FAULT_MS + AFTER_FAULT_MS));
    sim.at(fault.at, () => applyFault(world, fault));
  }
  const violated = () => checkers.violations.length > 0;
  await sim.until(violated, options.untilMs);
  if (violated()) return violationOf(world);
  mend(world);
  supervise(world);
  const settled = await sim.until(() => violated() || world.recovered(options.leftBroken), SETTLE_MS);
  if (violated()) return violationOf(world);
  if (!settled)
    return { verdict: 'liveness', invariant: 'S22', message: `not healthy ${SETTLE_MS} ms after all was mended\n${world.describe()}` };
  clients.rush(COMMITS_MS);
  const before = clients.acknowledged.length;
  const commits = await sim.until(() => violated() || clients.acknowledged.length > before + COMMITS, COMMITS_MS);
  if (violated()) return violationOf(world);
  if (!commits) return { verdict: 'liveness', invariant: 'S19', message: `no commits are acknowledged\n${world.describe()}` };
  checkers.checkLoss();
  return violationOf(world);
}

function violationOf(world: World): Failure | null {
  const first = world.checkers.violations[0];
  if (first === undefined) return null;
  const { invariant, message } = first;
  return invariant === 'crash' ? { verdict: 'crash', message } : { verdict: 'safety', invariant, message };
}
