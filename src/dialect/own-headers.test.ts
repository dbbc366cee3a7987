import { validateHeaderValue } from 'node:http';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { headerText, readHeaderText } from './own-headers.ts';

test('any text goes through a header and comes back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (text) => {
      const header = headerText(text);
      validateHeaderValue('Regent-Reason', header);
      expect(readHeaderText(header) ?? '').toBe(text.replace(/^ +| +$/g, ''));
    }),
  );
});

test('what no agent writes does no harm', () => {
  expect(headerText('\ud800 100 %\n')).toBe('? 100 %25%0A');
  expect(readHeaderText('100 %')).toBe('100 %');
  expect([readHeaderText(undefined), readHeaderText(''), readHeaderText(['a', 'b'])]).toEqual([null, null, null]);
  expect(headerText('x'.repeat(5000))).toHaveLength(1000);
});
