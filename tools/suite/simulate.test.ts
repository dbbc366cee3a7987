import { expect, test } from 'vitest';
import type { Outcome, Verdict } from '../../test/sim/plan.ts';
import { Tally } from '../sim/tally.ts';
import { countedFailures } from './simulate.ts';

function tallyOf(...verdicts: readonly Verdict[]): Tally {
  const tally = new Tally();
  for (const verdict of verdicts) tally.add({ verdict, virtualMs: 1, events: 1, acknowledged: 1 } as Outcome);
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
