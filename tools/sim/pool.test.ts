import { afterEach, expect, it } from 'vitest';
import { checkoutRoot } from '../root.ts';
import { bundleSimulator } from './bundle.ts';
import { crashOf, hunt } from './hunt.ts';
import { Pool } from './pool.ts';

/** Answers a seed with itself as the trace's hash; 13 never ends, 14 ends the worker. */
const standIn = `
  const { parentPort } = require('node:worker_threads');
  parentPort.on('message', ({ id, run, trace }) => {
    if (run.seed === 13) for (;;) {}
    if (run.seed === 14) process.exit(9);
    const outcome = { verdict: 'pass', message: '', hash: String(run.seed), virtualMs: 1, events: 1, acknowledged: 1, tail: [] };
    parentPort.postMessage({ id, result: { plan: { seed: run.seed, faults: [] }, described: '', outcome, lines: trace ? ['all'] : [] } });
  });`;

let pool: Pool;
afterEach(() => pool.close());

it('runs everything, whatever becomes of single runs', async () => {
  pool = new Pool(standIn, 2, 2000);
  const seen: string[] = [];
  const over = () => false;
  await hunt(pool, { from: 10, seeds: 8, over, onResult: ({ plan, outcome }) => void seen.push(`${plan.seed} ${outcome.verdict}`) });
  expect(seen.sort()).toEqual(['10 pass', '11 pass', '12 pass', '13 crash', '14 crash', '15 pass', '16 pass', '17 pass']);
  await expect(pool.seed(13)).rejects.toMatchObject({ code: 'SIM_HUNG' });
  expect((await pool.seed(1, { trace: true })).lines).toEqual(['all']);
});

it('ends at once when it is called off', async () => {
  pool = new Pool(standIn, 1);
  const hung = pool.seed(13);
  const waiting = pool.seed(1);
  const both = Promise.allSettled([hung, waiting]);
  await pool.close();
  expect((await both).map((one) => one.status === 'rejected' && one.reason.code)).toEqual(['SIM_CLOSED', 'SIM_CLOSED']);
  await expect(pool.seed(2)).rejects.toMatchObject({ code: 'SIM_CLOSED' });
  expect(() => crashOf(1, Object.assign(new Error('off'), { code: 'SIM_CLOSED' }))).toThrow('off');
});

it('simulates with the real bundle, the same way twice', async () => {
  pool = new Pool(await bundleSimulator(checkoutRoot()), 2);
  const [one, two] = await Promise.all([pool.seed(2, { trace: true }), pool.seed(2)]);
  expect(one.outcome.hash).toBe(two.outcome.hash);
  expect(one.lines.length).toBeGreaterThan(20);
  const again = await pool.plan(one.plan);
  expect(again.outcome).toEqual(one.outcome);
});
