/** Files that are not UTF-8 keep every byte, whatever is done to the rest of their text. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { withoutGucs } from '../../pgconf/guc.ts';
import { readText, writeFileAtomic } from './atomic-file.ts';
import { beforePath, keepBefore } from './before.ts';
import { bytesOf, textOf } from './file-text.ts';
import { flattened } from './flatten.ts';

const pieces = fc.oneof(
  fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes)),
  fc.string({ unit: 'binary', maxLength: 4 }).map((text) => Buffer.from(text)),
  fc.constantFrom([0xe9], [0xc3, 0xa9], [0xe2, 0x82], [0xed, 0xb2, 0x80], [0xf0, 0x9f, 0x98, 0x80]).map((bytes) => Buffer.from(bytes)),
);

test('any bytes come back as they were, and UTF-8 is read as ever', () => {
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 8 }), (parts) => {
      const bytes = Buffer.concat(parts);
      expect(bytesOf(textOf(bytes))).toEqual(bytes);
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(textOf(Buffer.from(text))).toBe(text);
    }),
  );
  expect(textOf(Buffer.from([0x61, 0xe9, 0xc3, 0xa9]))).toBe('a\udce9é');
});

test('a copy of a file in Latin-1, one with its includes, and one without a setting keep the bytes of the rest', async () => {
  const home = mkdtempSync(join(tmpdir(), 'regent-latin1-'));
  try {
    const path = join(home, 'postgresql.conf');
    const latin1 = Buffer.from("# f\xfcr alle\ncluster_name = 'M\xfcnchen'\nport = 5433\n", 'latin1');
    writeFileSync(path, latin1);
    await keepBefore(path, null, home);
    expect(readFileSync(beforePath(path))).toEqual(latin1);
    expect(bytesOf(`${await flattened(path)}\n`)).toEqual(latin1);
    const rest = withoutGucs((await readText(path)) ?? '', new Set(['port'])).text;
    await writeFileAtomic(path, rest, { mode: 0o600 });
    expect(readFileSync(path)).toEqual(latin1.subarray(0, latin1.indexOf('port')));
    expect(await writeFileAtomic(path, rest, { mode: 0o600 })).toBe(false);
  } finally {
    rmSync(home, { recursive: true });
  }
});
