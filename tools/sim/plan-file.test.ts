import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { drawPlan } from '../../test/sim/plan.ts';
import { readPlan, savePlan } from './plan-file.ts';
import { planCommand } from './report.ts';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'regent-plan-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

it('keeps a schedule as it is', async () => {
  const plan = drawPlan(5);
  const file = await savePlan(root, 'seed-5', plan);
  expect(await readPlan(file)).toEqual(plan);
  expect(JSON.parse(await readFile(join(root, '.regent', 'sim', 'seed-5.json'), 'utf8'))).toEqual(plan);
});

it.each(['{', '[]', 'null', '{"seed":1}', '{"seed":1,"options":{},"faults":[{}]}'])('refuses %s', async (text) => {
  const file = join(root, 'bad.json');
  await writeFile(file, text);
  await expect(readPlan(file)).rejects.toMatchObject({ code: 'SIM_PLAN' });
});

it('refuses a file that is not there', () => expect(readPlan(join(root, 'none'))).rejects.toMatchObject({ code: 'SIM_PLAN' }));

it('names the file so that a shell takes it as one word', () => {
  expect(planCommand('.regent/sim/seed-1.json')).toBe('./regent sim --plan .regent/sim/seed-1.json');
  expect(planCommand("it's here.json")).toBe("./regent sim --plan 'it'\\''s here.json'");
});
