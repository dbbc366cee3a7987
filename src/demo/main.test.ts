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
