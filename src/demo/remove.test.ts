import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { guardPlaces, logName } from '../adapters/guard/place.ts';
import { removeGuardFiles } from './remove.ts';

it('removes what a killed guard of the node left, and nothing of other guards', async () => {
  const base = mkdtempSync(join(tmpdir(), 'regent-remove-'));
  const uid = process.getuid?.() ?? 0;
  const place = (dataDir: string) => guardPlaces(dataDir, uid, base)[0]!;
  const [own, other] = [place(join(base, 'patroni1', 'data')), place(join(base, 'patroni2', 'data'))];
  mkdirSync(own.directory, { mode: 0o700 });
  for (const one of [own, other])
    for (const name of [`${one.key}.sock`, `${one.key}.lock`, `${logName(one, 'demo-patroni')}.log`])
      writeFileSync(join(one.directory, name), '');
  await removeGuardFiles(join(base, 'patroni1', 'data'), uid, base);
  const left = readdirSync(own.directory);
  expect(left).toHaveLength(3);
  expect(left.every((name) => name.includes(other.key))).toBe(true);
  rmSync(base, { recursive: true });
});
