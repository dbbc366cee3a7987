/** What can be said of the zoo without running it. */
import { expect, it } from 'vitest';
import { checkoutRoot } from '../../../tools/root.ts';
import { mutatedSources } from '../../../tools/sim/mutate/sources.ts';
import { mutants } from './index.ts';

it('has a name, a line, a promise and a verdict for each', () => {
  expect(new Set(mutants.map((mutant) => mutant.id)).size).toBe(mutants.length);
  for (const { id, broken, offends, verdicts } of mutants) {
    expect(id).toMatch(/^[a-z]+(-[a-z]+)*$/);
    expect(broken).toMatch(/^[A-Z].*\.$/);
    expect(offends.length).toBeGreaterThan(0);
    expect(offends.every((number) => /^[SM]\d+$/.test(number))).toBe(true);
    expect(verdicts.length).toBeGreaterThan(0);
  }
});

it.each(mutants.map(({ id, edits }) => [id, edits] as const))('finds the places that %s changes', async (_, edits) => {
  expect((await mutatedSources(checkoutRoot(), edits)).size).toBeGreaterThan(0);
});
