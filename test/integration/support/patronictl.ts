/**
 * The real patronictl, called many times. Its Python is started once (a start takes half a second)
 * and forks for each call.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { RunResult } from '../../fixtures/ctl.ts';

const DRIVER = join(import.meta.dirname, 'patronictl.py');

export interface Call {
  readonly argv: readonly string[];
  readonly input: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface Patronictl {
  readonly version: string;
  /** One after the other; never rejects for an exit code. */
  run(call: Call): Promise<RunResult>;
  close(): void;
}

/** `python`: one that finds Patroni. */
export async function startPatronictl(python: string, home: string): Promise<Patronictl> {
  const env = { PATH: process.env['PATH'], LANG: 'C.UTF-8', HOME: home, TZ: 'UTC' };
  const child = spawn(python, [DRIVER], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<unknown> => {
    const { value, done } = await lines.next();
    if (done) throw new Error('patronictl: its Python has ended');
    return JSON.parse(value);
  };
  const { version } = (await answer()) as { version: string };
  let last: Promise<unknown> = Promise.resolve();
  return {
    version,
    run: (call) => {
      const next = last.then(() => {
        child.stdin.write(`${JSON.stringify(call)}\n`);
        return answer() as Promise<RunResult>;
      });
      last = next.catch(() => undefined);
      return next;
    },
    close: () => void child.stdin.end(),
  };
}
