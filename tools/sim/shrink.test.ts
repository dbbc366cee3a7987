import { describe, expect, it } from 'vitest';
import type { Plan } from '../../test/sim/plan.ts';
import { drawPlan } from '../../test/sim/plan.ts';
import { type ShrinkLimits, shrink } from './shrink.ts';

const plan = (faults: number): Plan => ({
  ...drawPlan(1),
  faults: Array.from({ length: faults }, (_, i) => ({ at: 10_000 + i * 100, kind: `fault ${i}`, args: { forMs: 50 } })),
});
const limits = (over: Partial<ShrinkLimits> = {}): ShrinkLimits => ({ runs: 1000, untilMs: 1, now: () => 0, jobs: 2, ...over });
const has = (at: Plan, ...wanted: number[]) => wanted.every((i) => at.faults.some((fault) => fault.kind === `fault ${i}`));

describe('shrink', () => {
  it('finds the faults that a failure needs, and nothing else', async () => {
    const shrunk = await shrink(plan(50), async (one) => has(one, 3, 31, 32), limits());
    expect(shrunk.plan.faults.map((fault) => fault.kind)).toEqual(['fault 3', 'fault 31', 'fault 32']);
    expect(shrunk.minimal).toBe(true);
    expect(shrunk.runs).toBeLessThan(150);
  });

  it('finds the same however many are tried at once', async () => {
    const fails = async (one: Plan) => has(one, 7) || has(one, 40);
    const [alone, many] = await Promise.all([shrink(plan(50), fails, limits({ jobs: 1 })), shrink(plan(50), fails, limits({ jobs: 8 }))]);
    expect(many.plan).toEqual(alone.plan);
    expect(alone.plan.faults).toHaveLength(1);
  });

  it('needs no faults where none are needed, and makes the rest ordinary', async () => {
    const { plan: least } = await shrink(plan(9), async () => true, limits());
    expect(least.faults).toEqual([]);
    expect(least.options).toMatchObject({ tags: {}, leftBroken: [], slowness: 1, etcdRate: 1 });
  });

  it('keeps circumstances that matter, and what became needless with others goes too', async () => {
    const from = plan(6);
    const slow: Plan = { ...from, options: { ...from.options, slowness: 3, tags: { a: { nosync: true } } } };
    const { plan: least } = await shrink(
      slow,
      async (one) => one.options.slowness === 3 && (has(one, 2) || 'a' in one.options.tags === false),
      limits(),
    );
    expect(least.options).toMatchObject({ slowness: 3, tags: {} });
    expect(least.faults).toEqual([]);
  });

  it('gives the best it has when the runs or the time are spent', async () => {
    const few = await shrink(plan(64), async (one) => has(one, 1, 20, 40, 60), limits({ runs: 12 }));
    expect(few.minimal).toBe(false);
    expect(few.runs).toBeLessThanOrEqual(13);
    expect(has(few.plan, 1, 20, 40, 60)).toBe(true);
    let now = 0;
    const late = await shrink(plan(64), async () => has(plan(64), 1), limits({ untilMs: 5, now: () => now++ }));
    expect(late.minimal).toBe(false);
  });
});
