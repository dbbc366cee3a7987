import { expect, test } from 'vitest';
import { recalled } from './recall.ts';

test('answers from memory, and forgets rather than grow', () => {
  let computed = 0;
  const length = recalled((text) => {
    computed += 1;
    return { length: text.length };
  });
  expect(length('abc')).toBe(length('abc'));
  expect(computed).toBe(1);
  for (let i = 0; i < 1000; i += 1) expect(length(`text ${i}`)).toEqual({ length: `text ${i}`.length });
  expect(length('abc')).toEqual({ length: 3 });
  expect(computed).toBe(1002);
});
