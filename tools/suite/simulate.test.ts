import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { shellWords } from '../../src/support/shell-words.ts';
import { drawPlan, type Outcome, type Verdict } from '../../test/sim/plan.ts';
import { readPlan } from '../sim/plan-file.ts';
import type { Result } from '../sim/protocol.ts';
import { Tally } from '../sim/tally.ts';
import { countedFailures, stretch } from './simulate.ts';

afterEach(() => vi.restoreAllMocks());

const outcomeOf = (verdict: Verdict): Outcome => ({
  verdict,
  message: '',
  hash: '',
  virtualMs: 1,
  events: 1,
  acknowledged: 1,
  tail: [],
});

function tallyOf(...verdicts: readonly Verdict[]): Tally {
  const tally = new Tally();
  for (const verdict of verdicts) tally.add(outcomeOf(verdict));
  return tally;
}

test.each<[string, readonly Verdict[], number]>([
  ['seeds that pass', ['pass', 'pass'], 0],
  ['up to three without a primary in time', ['liveness', 'pass', 'liveness', 'liveness'], 0],
  ['a fourth, with the others', ['liveness', 'liveness', 'liveness', 'liveness'], 4],
  ['one that loses a commit, however many pass', ['pass', 'safety', 'pass'], 1],
  ['one in which an agent crashes', ['crash', 'pass'], 1],
  ['liveness beside a lost commit', ['safety', 'liveness'], 2],
])('of fresh seeds the suite counts %s', (_, verdicts, failed) => {
  expect(countedFailures(tallyOf(...verdicts))).toBe(failed);
});

test('the command beside a failed seed names a file that exists and holds its plan', async () => {
  const root = await mkdtemp(join(tmpdir(), "regent it's "));
  const said: string[] = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => said.push(String(text)) > 0);
  const seed = async (n: number): Promise<Result> => {
    if (n === 9) throw new Error('the worker is gone');
    return { plan: drawPlan(n), described: '', outcome: outcomeOf(n === 8 ? 'safety' : 'pass'), lines: [] };
  };
  try {
    await stretch({ jobs: 1, seed }, 'seeds', { from: 7, seeds: 3, untilMs: Number.POSITIVE_INFINITY }, { root });
    const commands = said.filter((line) => line.startsWith('its schedule: ')).map((line) => shellWords(line).slice(2));
    expect(commands.map((words) => words.slice(0, 3))).toEqual(Array(2).fill(['./regent', 'sim', '--plan']));
    const plans = await Promise.all(commands.map((words) => readPlan(words[3] ?? '')));
    expect(plans).toEqual([drawPlan(8), drawPlan(9)]);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
