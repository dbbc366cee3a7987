import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeUtf8 } from './utf8.ts';

const bytes = (...parts: readonly (string | number)[]) =>
  new Uint8Array(Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from([part])))));

describe('the text of a file', () => {
  it('is read whatever it holds, as long as it is UTF-8', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => decodeUtf8(bytes(`a: ${text}`)) === `a: ${text}`));
    expect(decodeUtf8(bytes(0xef, 0xbb, 0xbf, 'a: 1'))).toBe('a: 1');
  });

  it('tells line, column and byte of the first that is not', () => {
    expect(decodeUtf8(bytes('# Größe\nname: J', 0xfc, 'rgen\n'))).toEqual({ line: 2, column: 8, byte: '0xfc', looksLike: 'ISO-8859-1' });
    expect(decodeUtf8(bytes('a: 1\nb: x', 0xe2, 0x82))).toMatchObject({ line: 2, column: 5, byte: '0xe2' });
    expect(decodeUtf8(bytes(0xff, 0xfe, 'a', 0, ':', 0))).toMatchObject({ line: 1, column: 1, byte: '0xff', looksLike: 'UTF-16' });
  });

  it('always tells a place within the file', () => {
    const some = fc.uint8Array({ maxLength: 40 });
    fc.assert(
      fc.property(some, (given) => {
        const read = decodeUtf8(given);
        return typeof read === 'string' || given.includes(Number(read.byte));
      }),
    );
  });
});
