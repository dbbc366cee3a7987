import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBootCounter } from './boot-counter.ts';
import { createSystemClock } from './system.ts';

/**
 * A machine on which time passes awake and asleep; the coarse clock counts both, the fine one only
 * the former.
 */
function machine() {
  let awake = 0;
  let asleep = 0;
  const origin = 5_000_000;
  return {
    pass: (ms: number) => {
      awake += ms;
    },
    suspend: (ms: number) => {
      asleep += ms;
    },
    trueMs: () => origin + awake + asleep,
    counter: createBootCounter(
      () => Math.floor((origin + awake + asleep) / 10) * 10,
      () => awake,
    ),
  };
}

describe('boot counter', () => {
  it('stays within 10 ms of the truth through any mix of waking and sleeping, and never runs backwards', () => {
    const step = fc.record({ sleep: fc.boolean(), ms: fc.double({ min: 0, max: 50_000, noNaN: true }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const world = machine();
        let before = world.counter();
        for (const { sleep, ms } of steps) {
          if (sleep) world.suspend(ms);
          else world.pass(ms);
          const now = world.counter();
          expect(now).toBeGreaterThanOrEqual(before);
          expect(world.trueMs() - now).toBeLessThanOrEqual(10.001);
          expect(world.trueMs() - now).toBeGreaterThan(-0.001);
          before = now;
        }
      }),
    );
  });

  it('shows a suspend as a jump', () => {
    const world = machine();
    for (let i = 0; i < 20; i++) {
      world.pass(3.3);
      world.counter();
    }
    const before = world.counter();
    world.suspend(4000);
    expect(world.counter() - before).toBeGreaterThanOrEqual(3990);
  });

  it('becomes finer than the coarse clock after a few readings', () => {
    const world = machine();
    for (let i = 0; i < 200; i++) {
      world.pass(1.7);
      world.counter();
    }
    expect(Math.abs(world.counter() - world.trueMs())).toBeLessThan(2);
  });
});

it('does not run ahead after a pause between its two readings', () => {
  let now = 1000;
  let pause = 500;
  const counter = createBootCounter(
    () => Math.floor(now / 10) * 10,
    () => {
      now += pause;
      return now;
    },
  );
  counter();
  pause = 0;
  now += 7;
  expect(counter()).toBeLessThanOrEqual(now);
  expect(counter()).toBeGreaterThan(now - 10);
});

describe('system clock', () => {
  it('counts from boot as /proc/uptime does', () => {
    const clock = createSystemClock();
    const uptime = Number.parseFloat(readFileSync('/proc/uptime', 'latin1')) * 1000;
    expect(Math.abs(clock.bootMs() - uptime)).toBeLessThan(1000);
  });

  it('does not stand still between hundredths of a second', () => {
    const clock = createSystemClock();
    clock.bootMs();
    const seen = new Set<number>();
    const end = performance.now() + 30;
    while (performance.now() < end) seen.add(clock.bootMs());
    expect(seen.size).toBeGreaterThan(10);
  });

  it('calls a timer back once, and not after it was cancelled', async () => {
    const clock = createSystemClock();
    const calls: string[] = [];
    const cancel = clock.timer(1, () => calls.push('cancelled'));
    cancel();
    cancel();
    await new Promise<void>((resolve) => {
      clock.timer(10, () => {
        calls.push('fired');
        resolve();
      });
    });
    expect(calls).toEqual(['fired']);
  });
});
