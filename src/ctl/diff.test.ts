import fc from 'fast-check';
import { expect, test } from 'vitest';
import { unifiedDiff } from './diff.ts';

test('one changed line with three lines around it', () => {
  const before = 'a\nb\nc\nd\ne\nf\ng\nh\n';
  expect(unifiedDiff(before, before.replace('e\n', 'E\n'))).toEqual([
    '--- ',
    '+++ ',
    '@@ -2,7 +2,7 @@',
    ' b',
    ' c',
    ' d',
    '-e',
    '+E',
    ' f',
    ' g',
    ' h',
  ]);
});

test('changes far apart are two hunks, changes close to each other one', () => {
  const lines = Array.from({ length: 20 }, (_, index) => `line ${index}`);
  const changed = (...at: number[]) => lines.map((line, index) => (at.includes(index) ? `${line}!` : line)).join('\n');
  const hunks = (text: string) => unifiedDiff(lines.join('\n'), text).filter((line) => line.startsWith('@@'));
  expect(hunks(changed(2, 17))).toEqual(['@@ -1,6 +1,6 @@', '@@ -15,6 +15,6 @@']);
  expect(hunks(changed(2, 8))).toEqual(['@@ -1,12 +1,12 @@']);
});

test('lines added to a text of one line', () => {
  expect(unifiedDiff('{}\n', 'ttl: 5\n')).toEqual(['--- ', '+++ ', '@@ -1 +1 @@', '-{}', '+ttl: 5']);
});

test('equal texts have no diff', () => {
  expect(unifiedDiff('a\n', 'a\n')).toEqual([]);
});

/** What `patch` does. */
function apply(before: string[], diff: string[]): string[] {
  const result: string[] = [];
  let at = 0;
  for (const line of diff.slice(2)) {
    const hunk = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@$/.exec(line);
    if (hunk) {
      const start = hunk[2] === '0' ? Number(hunk[1]) : Number(hunk[1]) - 1;
      while (at < start) result.push(before[at++]!);
    } else if (line.startsWith('+')) result.push(line.slice(1));
    else {
      expect(before[at]).toBe(line.slice(1));
      if (line.startsWith(' ')) result.push(before[at]!);
      at++;
    }
  }
  return [...result, ...before.slice(at)];
}

test('the diff turns the one text into the other', () => {
  const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd: 1', '- x', '+ y'), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(lines, lines, (before, after) => {
      const diff = unifiedDiff(before.join('\n'), after.join('\n'));
      if (diff.length === 0) expect(before).toEqual(after);
      else expect(apply(before, diff)).toEqual(after);
    }),
  );
});
