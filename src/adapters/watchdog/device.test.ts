import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WatchdogSettings } from '../../core/settings.ts';
import { watchdogTimeoutSeconds } from '../../core/settings.ts';
import { createSystemClock } from '../clock/system.ts';
import { createWatchdog, type WatchdogOptions } from './device.ts';

let dir: string;
let fifo: string;
let reader: number;
let said: string[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'regent-watchdog-'));
  fifo = join(dir, 'watchdog');
  execFileSync('mkfifo', [fifo]);
  reader = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  said = [];
});
afterEach(() => {
  closeSync(reader);
  rmSync(dir, { recursive: true, force: true });
});

function received(): string {
  const buffer = Buffer.alloc(1000);
  try {
    return buffer.toString('latin1', 0, readSync(reader, buffer));
  } catch {
    return '';
  }
}

function watchdogOf(settings: Partial<WatchdogSettings> = {}, options: Partial<WatchdogOptions> = {}) {
  const merged: WatchdogSettings = { mode: 'automatic', device: fifo, safetyMarginSeconds: 5, ...settings };
  const note = (level: string) => (message: string) => void said.push(`${level} ${message}`);
  const log = { debug: note('debug'), info: note('info'), warning: note('warning'), error: note('error'), critical: note('critical') };
  return createWatchdog({ settings: () => merged, clock: createSystemClock(), log, driver: 'testing', ...options });
}

describe('the timeout', () => {
  it.each([
    [30, 10, 5, 25],
    [30, 10, -1, 15],
    [31, 10, -1, 15],
    [20, 10, 10, 10],
    [20, 10, 11, null],
    [3, 2, -1, null],
    [1, 0, 1, null],
  ])('of ttl %s, loop_wait %s, safety_margin %s is %s', (ttl, loopWait, margin, expected) => {
    expect(watchdogTimeoutSeconds(ttl, loopWait, margin)).toBe(expected);
  });
});

describe('a watchdog device', () => {
  it('is told its timeout, kept alive, and closed with the magic letter', async () => {
    const watchdog = watchdogOf();
    expect(watchdog.healthy()).toBe(true);
    expect(await watchdog.activate(25)).toBe(true);
    expect(watchdog.active).toBe(true);
    expect(received()).toBe('Ctimeout=25\n1');
    await watchdog.keepAlive();
    expect(received()).toBe('1');
    await watchdog.disable();
    expect(received()).toBe('V');
    expect(watchdog.active).toBe(false);
  });

  it('is not told the same timeout twice, but is told another', async () => {
    const watchdog = watchdogOf();
    await watchdog.activate(25);
    await watchdog.activate(25);
    await watchdog.activate(10);
    expect(received()).toBe('Ctimeout=25\n1Ctimeout=10\n1');
    await watchdog.disable();
  });

  it('needs nothing while it is off', async () => {
    const watchdog = watchdogOf({ mode: 'off', device: join(dir, 'missing') });
    expect(watchdog.healthy()).toBe(true);
    expect(await watchdog.activate(25)).toBe(true);
    await watchdog.keepAlive();
    await watchdog.disable();
    expect(watchdog.active).toBe(false);
  });

  it('that is missing forbids leadership only when it is required, and is reported once', async () => {
    for (const [mode, allowed] of [
      ['automatic', true],
      ['required', false],
    ] as const) {
      said = [];
      const watchdog = watchdogOf({ mode, device: join(dir, 'missing') });
      expect(watchdog.healthy()).toBe(false);
      expect(await watchdog.activate(25)).toBe(allowed);
      expect(await watchdog.activate(25)).toBe(allowed);
      expect(watchdog.active).toBe(false);
      expect(said).toHaveLength(1);
    }
  });

  it('that does not answer ioctls is not used, because its moment to act is not known', async () => {
    // /dev/null is a character device that takes writes and refuses every ioctl.
    const watchdog = watchdogOf({ mode: 'required', device: '/dev/null' }, { driver: 'linux' });
    expect(await watchdog.activate(25)).toBe(false);
    expect(said[0]).toContain('does not tell its timeout');
  });

  it('that is a plain file by mistake is not written to', async () => {
    const path = join(dir, 'file');
    writeFileSync(path, '');
    chmodSync(path, 0o600);
    const watchdog = watchdogOf({ mode: 'required', device: path }, { driver: 'linux' });
    expect(watchdog.healthy()).toBe(false);
    expect(await watchdog.activate(25)).toBe(false);
  });

  it('whose keepalive fails counts as lost', async () => {
    const watchdog = watchdogOf({ mode: 'required' });
    await watchdog.activate(25);
    closeSync(reader);
    await watchdog.keepAlive();
    expect(watchdog.active).toBe(false);
    expect(said.at(-1)).toContain('could not be kept alive');
    reader = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  });
});
