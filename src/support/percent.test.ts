import { expect, test } from 'vitest';
import { unescaped } from './percent.ts';

test.each([
  ['p%40ss', 'p@ss'],
  ['100%', '100%'],
  ['a%zz%20b', 'a%zz b'],
  ['%C3%A9', 'é'],
  ['%ff', '%ff'],
  ['', ''],
])('%j is read as %j', (text, read) => {
  expect(unescaped(text)).toBe(read);
});
