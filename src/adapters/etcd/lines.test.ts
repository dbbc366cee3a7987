import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lineSplitter } from './lines.ts';

describe('lineSplitter', () => {
  it('yields the same lines wherever the text was cut', () => {
    const line = fc.string({ maxLength: 12 }).map((text) => text.replace(/\n/g, '~'));
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.nat(40)), (lines, cuts) => {
        const text = lines.map((one) => `${one}\n`).join('');
        const got: string[] = [];
        const feed = lineSplitter((one) => got.push(one));
        let at = 0;
        for (const cut of cuts) {
          feed(text.slice(at, at + cut));
          at += cut;
        }
        feed(text.slice(at));
        expect(got).toEqual(lines.filter((one) => one.trim() !== ''));
      }),
    );
  });

  it('keeps back what has no end yet', () => {
    const got: string[] = [];
    const feed = lineSplitter((one) => got.push(one));
    feed('{"a":');
    expect(got).toEqual([]);
    feed('1}\r\n{');
    expect(got).toEqual(['{"a":1}\r']);
  });
});
