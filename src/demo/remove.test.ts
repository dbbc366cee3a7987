import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { guardPlaces, logName } from '../adapters/guard/place.ts';
import { planDemo } from './plan.ts';
import { removeFiles, removeGuardFiles } from './remove.ts';

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

it('takes away a file that a killed supervisor was just writing, and leaves what is not the demo’s', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'regent-remove-'));
  const plan = planDemo({ directory, nodes: 1, basePort: 5000, overrides: {}, stats: { username: 'a', password: 'a' } });
  for (const name of ['state.json', 'state.json.0123abcd', 'thesis.txt.0123abcd', 'notes.txt']) writeFileSync(join(directory, name), '');
  expect((await removeFiles(plan, true)).toSorted()).toEqual(['notes.txt', 'thesis.txt.0123abcd']);
  for (const name of ['notes.txt', 'thesis.txt.0123abcd']) rmSync(join(directory, name));
  writeFileSync(join(directory, 'state.json.0123abcd'), '');
  expect(await removeFiles(plan, true)).toEqual([]);
  expect(existsSync(directory)).toBe(false);
});
