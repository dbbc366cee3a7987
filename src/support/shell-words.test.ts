import { expect, test } from 'vitest';
import { shellWords } from './shell-words.ts';

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
