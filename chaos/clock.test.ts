import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Clocks } from './clock.ts';

/** Prints both of its clocks for every line it reads, in seconds. */
const PROGRAM = `process.stdin.on('data', () => console.log(Math.round(Date.now() / 1000), Math.round(performance.now() / 1000)))`;
/** It takes its time under load. */
const SLACK_SECONDS = 10;

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'regent-clock-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('a clock of its own', () => {
  it('is stepped while a process runs, forth and back, and its monotonic clock is not', async () => {
    const clocks = Clocks.build(directory);
    if (clocks === null) return console.log('skipped: there is no C compiler');
    clocks.set(directory, 0);
    const [file, ...args] = [...clocks.launcher(directory), process.execPath, '-e', PROGRAM];
    const child = spawn(file!, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const ask = async () => {
      child.stdin.write('?\n');
      const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
      const [wall, monotonic] = line.split(' ').map(Number);
      return { ahead: Math.abs(wall! - Date.now() / 1000), monotonic: monotonic! };
    };
    try {
      expect((await ask()).ahead).toBeLessThan(SLACK_SECONDS);
      for (const step of [3600, -3600]) {
        clocks.set(directory, step);
        const { ahead, monotonic } = await ask();
        expect(Math.abs(ahead - Math.abs(step))).toBeLessThan(SLACK_SECONDS);
        expect(monotonic).toBeLessThan(60);
      }
      clocks.set(directory, 0);
      expect((await ask()).ahead).toBeLessThan(SLACK_SECONDS);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
