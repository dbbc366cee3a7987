import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { manualClock } from '../../../test/support/manual-clock.ts';
import { receiveNotifications } from '../../../test/support/notify-receiver.ts';
import { silentLog } from '../../ports/log.ts';
import { runCommand } from '../../support/exec.ts';
import { createServiceManager, type ServiceWords, takeServiceWords } from './notify.ts';

const LAUNCH = join(import.meta.dirname, 'launch.pl');
/** What notify.ts does, and where its children could find the socket. */
const TELLS = `
  const { writeSync } = require('node:fs');
  const env = process.env;
  writeSync(Number(env.REGENT_NOTIFY_FD), 'READY=1');
  const children = require('node:child_process').execFileSync('ls', ['-l', '/proc/self/fd']).toString();
  process.stdout.write(JSON.stringify({ pid: process.pid, socket: env.NOTIFY_SOCKET ?? null, inherited: children.match(/ (?![012] )\\d+ -> socket:/g) }));
`;

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'regent-notify-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function manager(words: ServiceWords) {
  const warnings: string[] = [];
  const clock = manualClock();
  const log = { ...silentLog, warning: (message: string) => void warnings.push(message) };
  return { clock, warnings, service: createServiceManager(words, { log, clock, monotonicUsec: () => 1234567n }) };
}

describe('launch.pl', () => {
  it.each(['path', 'abstract'])('opens the socket of NOTIFY_SOCKET (%s): the program itself is the sender', async (kind) => {
    const name = kind === 'path' ? join(home, 'notify') : `@${home}`;
    const receiver = await receiveNotifications(name);
    try {
      const child = spawn('perl', [LAUNCH, process.execPath, '-e', TELLS], {
        env: { ...process.env, NOTIFY_SOCKET: name },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [said] = (await once(child.stdout, 'data')) as [Buffer];
      expect(JSON.parse(said.toString())).toEqual({ pid: child.pid, socket: null, inherited: null });
      expect(await receiver.next(/./)).toEqual({ pid: child.pid, text: 'READY=1' });
    } finally {
      receiver.close();
    }
  });

  it.each([
    ['nobody listens', '/nowhere/notify', 'No such file'],
    ['it is of another kind', 'vsock:2:1', 'neither a path'],
  ])('starts the program where %s, and says so', async (_, name, reason) => {
    // The shell sets it: runCommand keeps it from its children.
    const { stdout, stderr } = await runCommand('sh', ['-c', `NOTIFY_SOCKET=${name} perl ${LAUNCH} echo runs`], { timeoutMs: 10_000 });
    expect(stdout).toBe('runs\n');
    expect(stderr).toContain(reason);
    expect(stderr).toContain('systemd is told nothing');
  });
});

describe('as process 1', () => {
  const inContainer = (...words: readonly string[]) => ['--pid', '--fork', '--mount-proc', 'perl', LAUNCH, ...words];
  const root = process.getuid?.() === 0;

  it.runIf(root)('reaps orphans, and ends with the exit code of the program', async () => {
    // Two orphans: one has ended, and one outlives its parent. The last line counts the zombies.
    const script = "(sh -c 'exit 3' & sleep 0.1) & (setsid sh -c 'sleep 0.2' &); sleep 0.6; ps -e -o stat= | grep -c Z; echo $PPID; exit 7";
    const { code, stdout } = await runCommand('unshare', inContainer('sh', '-c', script), { timeoutMs: 10_000 });
    expect({ code, stdout }).toEqual({ code: 7, stdout: '0\n1\n' });
  });

  it.runIf(root)('tells by its exit code which signal ended the program', async () => {
    const { code } = await runCommand('unshare', inContainer('sh', '-c', 'kill -KILL $$'), { timeoutMs: 10_000 });
    expect(code).toBe(128 + 9);
  });

  it.runIf(root).each(['HUP', 'INT', 'QUIT', 'USR1', 'USR2', 'ABRT', 'TERM'])('passes SIG%s on', async (name) => {
    // Only processes within the namespace can name process 1: the program's own child sends.
    const script = `trap 'exit 9' ${name}; kill -${name} 1; while :; do sleep 0.05; done`;
    const { code } = await runCommand('unshare', inContainer('sh', '-c', script), { timeoutMs: 10_000 });
    expect(code).toBe(9);
  });
});

describe('the messages', () => {
  it('are those of sd_notify', () => {
    const path = join(home, 'out');
    const fd = openSync(path, 'w');
    const { service } = manager({ REGENT_NOTIFY_FD: String(fd) });
    for (const state of ['ready', 'reloading', 'alive', 'stopping'] as const) service.tell(state);
    closeSync(fd);
    expect(readFileSync(path, 'utf8')).toBe('READY=1RELOADING=1\nMONOTONIC_USEC=1234567WATCHDOG=1STOPPING=1');
  });

  it('wait for room, in order, and not for ever', async () => {
    // A pipe nobody reads is full in the end, as systemd's queue may be.
    const { stdout } = await runCommand('mkfifo', [join(home, 'full')], { timeoutMs: 5000 });
    expect(stdout).toBe('');
    const reader = openSync(join(home, 'full'), 'r+');
    const { O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;
    const fd = openSync(join(home, 'full'), O_WRONLY | O_NONBLOCK);
    const { clock, service, warnings } = manager({ REGENT_NOTIFY_FD: String(fd) });
    for (let i = 0; i < 20_000 && clock.pending === 0; i += 1) service.tell('ready');
    expect(clock.pending).toBe(1);
    service.tell('stopping');
    const drain = openSync(join(home, 'full'), O_RDONLY | O_NONBLOCK);
    readAll(drain);
    await clock.advance(100);
    expect(readAll(drain)).toBe('READY=1STOPPING=1');
    for (let i = 0; i < 20_000 && clock.pending === 0; i += 1) service.tell('ready');
    await clock.advance(60_000);
    expect(clock.pending).toBe(0);
    expect(warnings).toEqual([expect.stringContaining('systemd could not be told')]);
    for (const each of [reader, fd, drain]) closeSync(each);
  });

  it('are due by half of WATCHDOG_USEC, for the process that WATCHDOG_PID names', () => {
    const patience = (words: ServiceWords) => manager({ REGENT_NOTIFY_FD: '99', ...words }).service.patienceMs;
    expect(patience({})).toBeNull();
    expect(patience({ WATCHDOG_USEC: '0' })).toBeNull();
    expect(patience({ WATCHDOG_USEC: '30000000' })).toBe(30_000);
    expect(patience({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: String(process.pid) })).toBe(30_000);
    expect(patience({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '1' })).toBeNull();
  });
});

it('takes its variables out of the environment, and says where nobody opened the socket', () => {
  const env = { NOTIFY_SOCKET: '/run/x', WATCHDOG_USEC: '5', WATCHDOG_PID: '1', REGENT_NOTIFY_FD: '', PATH: '/bin' };
  const words = takeServiceWords(env);
  expect(env).toEqual({ PATH: '/bin' });
  const { service, warnings } = manager(words);
  expect(warnings).toEqual([expect.stringContaining('NOTIFY_SOCKET is set, but systemd is told nothing')]);
  expect(service.patienceMs).toBeNull();
  expect(() => service.tell('ready')).not.toThrow();
  expect(manager({}).warnings).toEqual([]);
});

function readAll(fd: number): string {
  let text = '';
  const buffer = Buffer.alloc(65_536);
  for (;;) {
    try {
      const size = readSync(fd, buffer, 0, buffer.length, null);
      if (size === 0) return text;
      text += buffer.toString('utf8', 0, size);
    } catch {
      return text;
    }
  }
}
