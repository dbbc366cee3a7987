import type { RunResult } from '../../src/support/exec.ts';

/** How a program ended that a test plays: well, and in silence, unless it says otherwise. */
export const ended = (over: Partial<RunResult> = {}): RunResult => ({
  code: 0,
  signal: null,
  stdout: '',
  stderr: '',
  cause: 'exit',
  timedOut: false,
  truncated: false,
  ...over,
});
