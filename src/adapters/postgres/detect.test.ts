import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { HeldProcess, parseProcStat } from './detect.ts';
import { parsePidFile } from './pid-file.ts';

test('postmaster.pid of a running server', () => {
  const text = '4711\n/var/lib/data\n1790000000\n5433\n/run/postgresql\nlocalhost\n  1234567         4\nready   \n';
  expect(parsePidFile(text)).toEqual({
    pid: 4711,
    startTime: 1_790_000_000,
    port: 5433,
    socketDir: '/run/postgresql',
    listenHost: 'localhost',
    shmemId: 4,
    status: 'ready',
  });
});

test('postmaster.pid at its beginning, without TCP, of single-user mode, and missing', () => {
  expect(parsePidFile('4711\n/data\n1790000000\n5432\n')).toMatchObject({ pid: 4711, socketDir: null, listenHost: null, status: null });
  expect(parsePidFile('4711\n/data\n1\n5432\n/tmp\n\n 1 2\nstandby \n')).toMatchObject({ listenHost: null, status: 'standby' });
  for (const text of ['-4711\n/data\n', '', '\n', 'no number\n', '1\n/data\n']) expect(parsePidFile(text)).toBeNull();
});

test('a program name may look like fields', () => {
  const fields = Array.from({ length: 30 }, (_, i) => String(100 + i));
  expect(parseProcStat(`42 (a) S 7 (x) S 9 ${fields.join(' ')}`)).toEqual({ state: 'S', ppid: 9, startTicks: '117' });
  expect(parseProcStat('42 (sh) S')).toBeNull();
});

test('a held process is known to be alive, stopped and gone, and its pid is not signalled afterwards', async () => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  await once(child, 'spawn');
  const held = HeldProcess.hold(child.pid!)!;
  expect(held.ppid).toBe(process.pid);
  expect(held.state()).toBe('alive');
  held.signal('SIGSTOP');
  for (let i = 0; i < 2000 && held.state() !== 'stopped'; i += 1) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(held.state()).toBe('stopped');
  held.signal('SIGKILL');
  await once(child, 'exit');
  expect(held.state()).toBe('gone');
  expect(held.signal('SIGTERM')).toBe(false);
  expect(HeldProcess.hold(child.pid!)).toBeNull();
});
