/**
 * The shortest schedule that still fails in the same way: faults are left out, then circumstances
 * made ordinary, as long as the failure stays.
 */
import type { Plan, PlanOptions } from '../../test/sim/plan.ts';

export interface ShrinkLimits {
  readonly runs: number;
  readonly untilMs: number;
  readonly now: () => number;
  /** So many tries at once. */
  readonly jobs: number;
}

/** Whether that schedule fails as the first one did. */
export type StillFails = (plan: Plan) => Promise<boolean>;

export interface Shrunk {
  readonly plan: Plan;
  readonly runs: number;
  /** Nothing more can be left out; otherwise a limit was reached. */
  readonly minimal: boolean;
}

class Budget {
  readonly #limits: ShrinkLimits;
  runs = 0;

  constructor(limits: ShrinkLimits) {
    this.#limits = limits;
  }

  get spent(): boolean {
    return this.runs >= this.#limits.runs || this.#limits.now() >= this.#limits.untilMs;
  }

  /**
   * The first of the candidates that fails; null: none does. The same one however many are tried at
   * once.
   */
  async first(candidates: readonly Plan[], stillFails: StillFails): Promise<Plan | null> {
    for (let i = 0; i < candidates.length && !this.spent; i += this.#limits.jobs) {
      const batch = candidates.slice(i, i + this.#limits.jobs);
      this.runs += batch.length;
      const fails = await Promise.all(batch.map(stillFails));
      const found = batch.find((_, at) => fails[at]);
      if (found !== undefined) return found;
    }
    return null;
  }
}

/** Delta debugging: leaves out halves, quarters, eighths … of the faults, then single ones. */
async function fewerFaults(from: Plan, stillFails: StillFails, budget: Budget): Promise<Plan> {
  let plan = from;
  let parts = 2;
  while (plan.faults.length > 0 && !budget.spent) {
    const { faults } = plan;
    const size = Math.ceil(faults.length / parts);
    const candidates: Plan[] = [];
    for (let start = 0; start < faults.length; start += size)
      candidates.push({ ...plan, faults: [...faults.slice(0, start), ...faults.slice(start + size)] });
    const found = await budget.first(candidates, stillFails);
    if (found !== null) {
      plan = found;
      parts = Math.max(2, parts - 1);
    } else if (size === 1) return plan;
    else parts = Math.min(faults.length, parts * 2);
  }
  return plan;
}

/** What a reader need not think about when it is as usual. */
const ordinary: ReadonlyArray<(options: PlanOptions) => PlanOptions> = [
  (options) => ({ ...options, tags: {} }),
  (options) => ({ ...options, leftBroken: [] }),
  (options) => (options.outside ? { ...options, outside: null } : options),
  (options) => ({ ...options, slowness: 1 }),
  (options) => ({ ...options, delayMs: [0.2, 2] }),
  (options) => ({ ...options, etcdRate: 1, rates: Object.fromEntries(options.nodes.map((name) => [name, 1])) }),
  (options) => ({ ...options, clients: { ...options.clients, cancels: 0 } }),
  (options) => ({ ...options, clients: { ...options.clients, local: 0 } }),
];

/** After the last fault there is nothing to wait for but its end. */
function sooner(plan: Plan): PlanOptions {
  const last = Math.max(plan.options.fromMs, ...plan.faults.map((fault) => fault.at + Number(fault.args['forMs'] ?? 0)));
  return { ...plan.options, untilMs: Math.min(plan.options.untilMs, Math.ceil(last / 1000) * 1000 + 1000) };
}

async function plainer(from: Plan, stillFails: StillFails, budget: Budget): Promise<Plan> {
  let plan = from;
  const steps = [...ordinary.map((change) => () => change(plan.options)), () => sooner(plan)];
  for (const step of steps) {
    const options = step();
    if (JSON.stringify(options) === JSON.stringify(plan.options)) continue;
    plan = (await budget.first([{ ...plan, options }], stillFails)) ?? plan;
  }
  return plan;
}

export async function shrink(plan: Plan, stillFails: StillFails, limits: ShrinkLimits): Promise<Shrunk> {
  const budget = new Budget(limits);
  const fewer = await fewerFaults(plan, stillFails, budget);
  const plain = await plainer(fewer, stillFails, budget);
  // What was made ordinary may have been what another fault was needed for.
  const least = plain === fewer ? plain : await fewerFaults(plain, stillFails, budget);
  return { plan: least, runs: budget.runs, minimal: !budget.spent };
}
