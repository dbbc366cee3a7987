/** docs/compatibility.md answers for every row, and names tests that exist. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DIFFERENCES } from '../../test/integration/support/typed/differences.ts';
import { checkoutRoot } from '../root.ts';

/** The features that Patroni's own list of its releases comes to. */
const ROWS = 115;
const root = checkoutRoot();
const text = readFileSync(join(root, 'docs/compatibility.md'), 'utf8');

interface Row {
  readonly number: number;
  readonly state: string;
  readonly note: string;
  readonly shownBy: string;
}

const rows: readonly Row[] = text.split('\n').flatMap((line) => {
  const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
  const [, number = '', , state = '', note = '', shownBy = ''] = cells;
  return cells.length === 7 && /^\d+$/.test(number) ? [{ number: Number(number), state, note, shownBy }] : [];
});

/** Each test file that a row names, with the title of a test in it where one is given. */
const tests = rows.flatMap(({ number, shownBy }) =>
  [...shownBy.matchAll(/\]\(\.\.\/([^)]+)\)(?:: “([^”]+)”)?/g)].map(([, file = '', title]) => ({ number, file, title })),
);

test('there is one row for each feature, in order', () => {
  expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: ROWS }, (_, index) => index + 1));
});

test.each(rows)('row $number says what it comes to, and what shows it', ({ state, note, shownBy }) => {
  expect(['supported', 'differs', 'out of scope']).toContain(state);
  if (state === 'supported') expect(shownBy).not.toBe('');
  else expect(note).not.toBe('');
  if (state === 'differs') expect(shownBy).not.toBe('');
});

test.each(tests)('row $number: $file $title', ({ file, title }) => {
  const source = readFileSync(join(root, file), 'utf8');
  if (title !== undefined) expect(source.replaceAll("\\'", "'")).toContain(title);
});

test.each(Object.entries(DIFFERENCES))('the difference of the tools "%s" is told', (_name, reason) => {
  expect(text.replace(/\s+/g, ' ')).toContain(reason);
});
