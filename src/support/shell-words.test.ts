import fc from 'fast-check';
import { expect, test } from 'vitest';
import { shellWord, shellWords } from './shell-words.ts';

test.each([
  ['/bin/a b  c', ['/bin/a', 'b', 'c']],
  [`a 'b c' "d e"`, ['a', 'b c', 'd e']],
  [`a\\ b "x\\"y\\n"`, ['a b', 'x"y\\n']],
  [`--k='' ""`, ['--k=', '']],
  [`'it''s' x'y z'w`, ['its', 'xy zw']],
  ['  ', []],
  [`'open end`, ['open end']],
])('%s', (line, words) => {
  expect(shellWords(line)).toEqual(words);
});

test('a quoted word reads back as itself, and plain ones need no quotes', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), (word) => {
      expect(shellWords(shellWord(word))).toEqual([word]);
    }),
  );
  expect(['/etc/patroni.yml', 'a b', "it's"].map(shellWord)).toEqual(['/etc/patroni.yml', "'a b'", "'it'\\''s'"]);
});
