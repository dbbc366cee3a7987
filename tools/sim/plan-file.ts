/** Schedules kept as files, so that a shortened one can be run again. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { RegentError } from '../../src/support/errors.ts';
import type { Plan } from '../../test/sim/plan.ts';

const refused = (file: string, why: string) =>
  new RegentError('SIM_PLAN', `${file}: ${why}`, { mend: 'give a file that regent sim has saved, or use --seed' });

function isPlan(value: unknown): value is Plan {
  if (typeof value !== 'object' || value === null) return false;
  const { seed, options, faults } = value as Record<string, unknown>;
  const isFault = (fault: unknown) =>
    typeof fault === 'object' && fault !== null && 'at' in fault && typeof fault.at === 'number' && 'kind' in fault && 'args' in fault;
  return typeof seed === 'number' && typeof options === 'object' && options !== null && Array.isArray(faults) && faults.every(isFault);
}

/** Throws SIM_PLAN. */
export async function readPlan(file: string): Promise<Plan> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw refused(file, error instanceof Error ? error.message : String(error));
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refused(file, 'not JSON');
  }
  if (!isPlan(value)) throw refused(file, 'not a schedule of the simulator');
  return value;
}

/**
 * Below the checkout, or among the temporary files where that cannot be written. Resolves to a path
 * that can be typed.
 */
export async function savePlan(root: string, name: string, plan: Plan): Promise<string> {
  const text = `${JSON.stringify(plan, null, 2)}\n`;
  for (const directory of [join(root, '.regent', 'sim'), tmpdir()]) {
    const file = join(directory, `${name}.json`);
    try {
      await mkdir(directory, { recursive: true });
      await writeFile(file, text);
      const near = relative(process.cwd(), file);
      return near.startsWith('..') ? file : near;
    } catch {
      // The next place may do.
    }
  }
  throw new RegentError('SIM_PLAN', 'the schedule cannot be written anywhere', {
    mend: 'make some room in the temporary directory',
  });
}
