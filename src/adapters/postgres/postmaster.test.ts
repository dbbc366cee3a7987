import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Clock } from '../../ports/clock.ts';
import { HeldProcess } from './detect.ts';
import { PostmasterWatch } from './postmaster.ts';

/** Timers are collected; the test lets the last one fire. */
class HandClock implements Clock {
  readonly pending: Array<{ readonly ms: number; readonly callback: () => void }> = [];
  bootMs = () => 0;
  monotonicMs = () => 0;
  wallMs = () => 0;
  random = () => 0;
  timer(ms: number, callback: () => void): () => void {
    const entry = { ms, callback };
    this.pending.push(entry);
    return () => {
      const at = this.pending.indexOf(entry);
      if (at >= 0) this.pending.splice(at, 1);
    };
  }
  fire(): void {
    this.pending.pop()?.callback();
  }
}

let clock: HandClock;
let child: ChildProcess;
let gone: number;
let watch: PostmasterWatch;

beforeEach(async () => {
  clock = new HandClock();
  gone = 0;
  watch = new PostmasterWatch(clock);
  watch.onGone(() => {
    gone += 1;
  });
  child = spawn('sleep', ['60'], { stdio: 'ignore' });
  await once(child, 'spawn');
});
afterEach(() => {
  watch.close();
  child.kill('SIGKILL');
});

async function kill(): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

const intervals = () => clock.pending.map((timer) => timer.ms);

test('an adopted process is checked every 100 ms, rarely while a connection stands, and its end is reported once', async () => {
  watch.hold(HeldProcess.hold(child.pid!)!, null);
  expect(intervals()).toEqual([100]);
  clock.fire();
  expect(intervals()).toEqual([100]);
  watch.connection(true);
  expect(intervals()).toEqual([3000]);
  clock.fire();
  expect(intervals()).toEqual([3000]);
  await kill();
  expect(gone).toBe(0);
  watch.connection(false);
  expect(gone).toBe(1);
  expect(intervals()).toEqual([]);
  watch.connection(true);
  expect(gone).toBe(1);
});

test('a connection that ends alone is no death, but looks become frequent', () => {
  watch.hold(HeldProcess.hold(child.pid!)!, null);
  watch.connection(true);
  watch.connection(false);
  expect(gone).toBe(0);
  expect(intervals()).toEqual([100]);
});

test('a process of our own is not polled, because its exit is an event', async () => {
  watch.hold(HeldProcess.hold(child.pid!)!, child);
  expect(intervals()).toEqual([]);
  await kill();
  expect(gone).toBe(1);
});

test('after close nothing is reported and nothing is polled', async () => {
  watch.hold(HeldProcess.hold(child.pid!)!, null);
  watch.close();
  expect(intervals()).toEqual([]);
  await kill();
  watch.connection(false);
  expect(gone).toBe(0);
});
