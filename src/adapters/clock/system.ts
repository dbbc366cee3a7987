import { openSync, readSync } from 'node:fs';
import type { Clock } from '../../ports/clock.ts';
import { RegentError } from '../../support/errors.ts';
import { LONGEST_TIMER_MS } from '../../support/timers.ts';
import { createBootCounter } from './boot-counter.ts';

/**
 * The clock of a Linux machine. bootMs comes from /proc/uptime, read again when the machine may
 * have slept since (boot-counter.ts). The guard reads the same file. Between its hundredths of a
 * second the monotonic clock fills in. Timers keep the process alive on purpose (no unref): an
 * agent that only waits for its next round must not exit. Cancel them to leave. Throws
 * CLOCK_UNAVAILABLE.
 */
export function createSystemClock(): Clock {
  const readUptimeMs = openUptime();
  return {
    bootMs: createBootCounter(readUptimeMs, () => performance.now(), Date.now),
    monotonicMs: () => performance.now(),
    wallMs: () => Date.now(),
    timer: (ms, callback) => {
      const handle = setTimeout(callback, Math.min(Math.max(0, ms), LONGEST_TIMER_MS));
      return () => clearTimeout(handle);
    },
    random: () => Math.random(),
  };
}

function openUptime(): () => number {
  const path = '/proc/uptime';
  const unavailable = (cause: unknown) =>
    new RegentError('CLOCK_UNAVAILABLE', `cannot read ${path}`, {
      cause,
      mend: 'Regent runs on Linux with /proc mounted; its leases are counted on the clock found there',
    });
  const buffer = Buffer.alloc(64);
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw unavailable(error);
  }
  return () => {
    const length = readSync(fd, buffer, 0, buffer.length, 0);
    const seconds = Number.parseFloat(buffer.toString('latin1', 0, length));
    if (!Number.isFinite(seconds)) throw unavailable(buffer.toString('latin1', 0, length));
    return Math.round(seconds * 100) * 10;
  };
}
