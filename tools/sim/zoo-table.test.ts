import { expect, it } from 'vitest';
import type { Mutant } from '../../test/sim/zoo/mutant.ts';
import { type Measure, medianSeeds } from './zoo.ts';
import { withTable, zooTable } from './zoo-table.ts';

const mutant: Mutant = { id: 'a-mutant', broken: 'It | breaks.', offends: ['S1', 'M2'], edits: [], verdicts: ['safety'] };
const seen = (tried: number, ...at: number[]): Measure => ({
  mutant,
  tried,
  sightings: at.map((one) => ({ seed: 100 + one, at: one, kind: 'safety (S1)', message: '' })),
});

it('takes the median of the distances', () => {
  expect(medianSeeds(seen(9))).toBeNull();
  expect(medianSeeds(seen(9, 4))).toBe(4);
  expect(medianSeeds(seen(90, 4, 5, 25, 26, 60))).toBe(4);
});

it('tells what was not noticed, and how often was looked', () => {
  const table = zooTable([
    { focused: seen(3, 3), ordinary: seen(60, 4, 5, 25) },
    { focused: seen(7), ordinary: seen(300) },
  ]);
  expect(table).toContain('| `a-mutant` | It \\| breaks. | S1 M2 | safety (S1) | 3 | 4 | 4 |');
  expect(table).toContain('| not noticed | > 7 | > 300 |  |');
});

it('replaces what is between the marks, and nothing else', () => {
  const marks = ['<!-- zoo: drawn by regent sim --zoo -->', '<!-- end of the zoo -->'];
  expect(withTable(`before\n${marks[0]}\nold\n${marks[1]}\nafter`, 'new')).toBe(`before\n${marks[0]}\nnew\n${marks[1]}\nafter`);
  expect(withTable('no place', 'new')).toBeNull();
});
