import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { demoMain } from './main.ts';

afterEach(() => vi.restoreAllMocks());

it.each([
  [['frob'], "error: unknown command 'frob'. There are: status, stop, start, kill, logs, down; without one a demo is started.\n"],
  [['status', 'x'], "error: too many arguments for 'status'. Expected 0 arguments but got 1.\n"],
])('%j is answered with what is wrong with it, and nothing is started', async (words, said) => {
  const told: string[] = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => told.push(String(text)) > 0);
  expect(await demoMain(words)).toBe(2);
  expect(told.join('')).toBe(said);
});

it('down where there is no demo has nothing to remove, and that is no error', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'regent-demo-'));
  const told: string[] = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => told.push(String(text)) > 0);
  for (const dir of [directory, join(directory, 'missing')]) {
    expect(await demoMain(['down', '--dir', dir])).toBe(0);
    expect(told.pop()).toBe(`nothing to remove: there is no demo in ${dir}\n`);
  }
  expect(told).toEqual([]);
  rmSync(directory, { recursive: true });
});
