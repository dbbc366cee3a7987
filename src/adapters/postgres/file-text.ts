/**
 * The text of a file of PostgreSQL's, which need not be UTF-8: comments in Latin-1, a value that
 * ALTER SYSTEM wrote in the encoding of a database. Bytes that are no UTF-8 become lone surrogates,
 * as Python has it, and are written as they were.
 */
import { isUtf8 } from 'node:buffer';

/** Each byte a letter (latin1): a letter in UTF-8, else a byte that belongs to none. */
const LETTERS = /[\x80-\xff][\x80-\xbf]{0,3}/g;
const HIDDEN = 0xdc00;
const HIDDEN_BYTE = /(?<![\ud800-\udbff])([\udc80-\udcff])/;

export function textOf(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  return bytes.toString('latin1').replace(LETTERS, revealed);
}

/** The longest beginning that is a letter, and what follows it. */
function revealed(found: string): string {
  for (let length = found.length; length > 1; length -= 1) {
    const bytes = Buffer.from(found.slice(0, length), 'latin1');
    if (isUtf8(bytes)) return bytes.toString('utf8') + hidden(found.slice(length));
  }
  return hidden(found);
}

const hidden = (bytes: string) => [...bytes].map((byte) => String.fromCharCode(HIDDEN + byte.charCodeAt(0))).join('');

export function bytesOf(text: string): Buffer {
  const parts = text.split(HIDDEN_BYTE);
  if (parts.length === 1) return Buffer.from(text);
  return Buffer.concat(parts.map((part, i) => (i % 2 === 0 ? Buffer.from(part) : Buffer.from([part.charCodeAt(0) - HIDDEN]))));
}
