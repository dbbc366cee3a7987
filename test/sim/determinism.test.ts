import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { afterEach, expect, test, vi } from 'vitest';
import { bundleSimulator } from '../../tools/sim/bundle.ts';
import { drawPlan } from './plan.ts';
import { runPlan } from './run.ts';

const seeds = [3, 11, 20, 37, 54];
const hashOf = async (seed: number): Promise<string> => (await runPlan(drawPlan(seed))).hash;
const hashesOf = async (list: readonly number[]): Promise<string[]> => {
  const hashes: string[] = [];
  for (const seed of list) hashes.push(await hashOf(seed));
  return hashes;
};

/** Simulates each seed in a worker of a process of its own, and prints the hashes as a list. */
const freshProgram = (bundle: string, list: readonly number[]): string => `
  const { Worker } = require('node:worker_threads');
  const worker = new Worker(${JSON.stringify(bundle)}, { eval: true });
  const hashes = [];
  const ask = (i) => worker.postMessage({ id: i, run: { seed: ${JSON.stringify(list)}[i] }, trace: false });
  worker.on('message', ({ result, error }) => {
    hashes.push(error ?? result.outcome.hash);
    if (hashes.length < ${list.length}) return ask(hashes.length);
    console.log(JSON.stringify(hashes));
    process.exit(0);
  });
  ask(0);
`;

async function inFreshProcess(list: readonly number[]): Promise<unknown> {
  const child = spawn(process.execPath, ['--hash-seed=7', '--random-seed=7', '-'], {
    env: { PATH: process.env['PATH'], TZ: 'Asia/Tokyo', LC_ALL: 'C' },
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: 60_000,
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  child.stdin.end(freshProgram(await bundleSimulator(process.cwd()), list));
  await once(child, 'close');
  return JSON.parse(text);
}

afterEach(() => {
  vi.restoreAllMocks();
});

test('a seed gives one trace to the last event, whatever ran before and whatever the machine’s time and dice are', {
  timeout: 90_000,
}, async () => {
  const first = await hashesOf(seeds);
  expect(new Set(first).size).toBe(seeds.length);
  let dice = 0;
  vi.spyOn(Math, 'random').mockImplementation(() => {
    dice += 0.37;
    return dice % 1;
  });
  vi.spyOn(Date, 'now').mockReturnValue(1);
  // The other way round: what is kept from one run to the next must not be seen.
  expect((await hashesOf([...seeds].reverse())).reverse()).toEqual(first);
});

test('and the same one in another process, another thread, another time zone', { timeout: 90_000 }, async () => {
  const list = seeds.slice(0, 3);
  expect(await inFreshProcess(list)).toEqual(await hashesOf(list));
});

test('one drawn number more, and the hash is another', async () => {
  const plan = drawPlan(3);
  const { hash } = await runPlan(plan);
  const changed = await runPlan(plan, { arrange: (world) => void world.net.delay() });
  expect(changed.hash).not.toBe(hash);
});
