import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { DYNAMIC_CACHE } from '../ports/settings.ts';
import { readDynamicCache, writeDynamicCache } from './cache.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'regent-cache-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it('writes what Python writes, and reads it back', async () => {
  const raw = { ttl: 30, name: 'é', postgresql: { parameters: { a: true, b: null } }, big: 2n ** 60n };
  expect(await writeDynamicCache(dir, raw)).toBe(true);
  expect(readFileSync(join(dir, DYNAMIC_CACHE), 'utf8')).toBe(
    '{"ttl": 30, "name": "\\u00e9", "postgresql": {"parameters": {"a": true, "b": null}}, "big": 1152921504606846976}',
  );
  expect(readDynamicCache(dir)).toEqual(raw);
  expect(readdirSync(dir)).toEqual([DYNAMIC_CACHE]);
});

it('leaves a file alone that says the same', async () => {
  await writeDynamicCache(dir, { ttl: 30 });
  const before = statSync(join(dir, DYNAMIC_CACHE)).ino;
  expect(await writeDynamicCache(dir, { ttl: 30 })).toBe(true);
  expect(statSync(join(dir, DYNAMIC_CACHE)).ino).toBe(before);
  await writeDynamicCache(dir, { ttl: 31 });
  expect(statSync(join(dir, DYNAMIC_CACHE)).ino).not.toBe(before);
});

it('follows the mode of the data directory', async () => {
  chmodSync(dir, 0o700);
  await writeDynamicCache(dir, { ttl: 1 });
  expect(statSync(join(dir, DYNAMIC_CACHE)).mode & 0o777).toBe(0o600);
  chmodSync(dir, 0o750);
  await writeDynamicCache(dir, { ttl: 2 });
  expect(statSync(join(dir, DYNAMIC_CACHE)).mode & 0o777).toBe(0o640);
});

it('survives what a crash may have left', async () => {
  writeFileSync(join(dir, `${DYNAMIC_CACHE}.new`), 'half');
  expect(await writeDynamicCache(dir, { ttl: 5 })).toBe(true);
  expect(readDynamicCache(dir)).toEqual({ ttl: 5 });
});

it.each(['', '{', '[]', '"x"', '{}', 'null'])('reads %j as none', (text) => {
  writeFileSync(join(dir, DYNAMIC_CACHE), text);
  expect(readDynamicCache(dir)).toBeNull();
});

it('does nothing without a data directory', async () => {
  expect(await writeDynamicCache(join(dir, 'none'), { ttl: 1 })).toBe(false);
  expect(readDynamicCache(join(dir, 'none'))).toBeNull();
});
