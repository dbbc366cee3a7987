import { describe, expect, test } from 'vitest';
import { cleanEnvironment, lastLines, runCommand } from './exec.ts';

const alive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function untilDead(pid: number): Promise<boolean> {
  for (let i = 0; i < 1000 && alive(pid); i += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  return !alive(pid);
}

describe('runCommand', () => {
  test('returns output and exit code without throwing', async () => {
    const result = await runCommand('sh', ['-c', 'echo out; echo err >&2; exit 3'], { timeoutMs: 5000 });
    expect(result).toMatchObject({ code: 3, signal: null, stdout: 'out\n', stderr: 'err\n', cause: 'exit', timedOut: false });
  });

  test('passes input', async () => {
    const result = await runCommand('cat', [], { timeoutMs: 5000, input: 'secret words' });
    expect(result.stdout).toBe('secret words');
  });

  test('has its time where that is longer than a timer can count: a primary_start_timeout of a month, for pre_promote', async () => {
    expect(await runCommand('sleep', ['0.1'], { timeoutMs: 30 * 24 * 3600 * 1000 })).toMatchObject({ code: 0, cause: 'exit' });
  });

  test('says which program could not be started', async () => {
    await expect(runCommand('no-such-program-here', [], { timeoutMs: 1000 })).rejects.toMatchObject({ code: 'COMMAND_NOT_STARTED' });
  });

  test('kills the whole group at the deadline, even one that ignores SIGTERM', async () => {
    const script = "trap '' TERM; (trap '' TERM; sleep 60) & echo $!; wait; sleep 60";
    const result = await runCommand('sh', ['-c', script], { timeoutMs: 1500, killGraceMs: 100 });
    expect(result).toMatchObject({ code: null, signal: 'SIGKILL', cause: 'timeout', timedOut: true });
    expect(await untilDead(Number(result.stdout.trim()))).toBe(true);
  });

  test('an abort ends it, and stays the cause', async () => {
    const controller = new AbortController();
    const running = runCommand('sleep', ['60'], { timeoutMs: 5000, signal: controller.signal });
    controller.abort();
    expect(await running).toMatchObject({ cause: 'aborted', timedOut: false, signal: 'SIGTERM' });
    expect(await runCommand('sleep', ['60'], { timeoutMs: 5000, signal: controller.signal })).toMatchObject({ cause: 'aborted' });
  });

  test('does not wait for a daemon that keeps the pipes open', async () => {
    const result = await runCommand('sh', ['-c', 'setsid sleep 60 & echo $!'], { timeoutMs: 20_000 });
    expect(result.cause).toBe('exit');
    process.kill(Number(result.stdout.trim()), 'SIGKILL');
  });

  test('keeps the end of too much output', async () => {
    const result = await runCommand('sh', ['-c', 'seq 1 100000'], { timeoutMs: 10_000, maxOutputBytes: 1000 });
    expect(result.truncated).toBe(true);
    expect(result.stdout.length).toBe(1000);
    expect(result.stdout.endsWith('99999\n100000\n')).toBe(true);
  });
});

test('children do not see the variables that configure the agent', () => {
  expect(
    cleanEnvironment(
      { PATH: '/bin', PATRONI_X: '1', REGENT_Y: '2', NOTIFY_SOCKET: '@n', WATCHDOG_PID: '1', WATCHDOG_USEC: '1', LANG: 'de' },
      { LANG: 'C', PATH: undefined },
    ),
  ).toEqual({
    LANG: 'C',
  });
});

test('lastLines', () => {
  expect(lastLines('a\nb\nc\n', 2)).toBe('b\nc');
});
