import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBootCounter } from './boot-counter.ts';
import { createSystemClock } from './system.ts';

/**
 * A machine on which time passes awake and asleep; the coarse clock and the wall's count both, the
 * fine one only the former. The wall's clock can be set.
 */
function machine() {
  let awake = 0;
  let asleep = 0;
  let set = 0;
  let readings = 0;
  const origin = 5_000_000;
  return {
    setWall: (ms: number) => {
      set += ms;
    },
    readings: () => readings,
    pass: (ms: number) => {
      awake += ms;
    },
    suspend: (ms: number) => {
      asleep += ms;
    },
    trueMs: () => origin + awake + asleep,
    counter: createBootCounter(
      () => {
        readings++;
        return Math.floor((origin + awake + asleep) / 10) * 10;
      },
      () => awake,
      () => Math.floor(1_700_000_000_000 + awake + asleep + set),
    ),
  };
}

describe('boot counter', () => {
  it('stays within 14 ms of the truth through any mix of waking and sleeping, and never runs backwards', () => {
    const step = fc.record({
      kind: fc.constantFrom('wake', 'sleep', 'set'),
      ms: fc.oneof(fc.double({ min: 0, max: 50_000, noNaN: true }), fc.double({ min: 0, max: 20, noNaN: true })),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const world = machine();
        let before = world.counter();
        for (const { kind, ms } of steps) {
          if (kind === 'sleep') world.suspend(ms);
          // Forward only: by just as much back as a sleep was long, it would hide that.
          else if (kind === 'set') world.setWall(ms);
          else world.pass(ms);
          const now = world.counter();
          expect(now).toBeGreaterThanOrEqual(before);
          expect(world.trueMs() - now).toBeLessThanOrEqual(14.001);
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

  it('shows a suspend that follows a reading at once, and one that the wall does not show within a second', () => {
    const world = machine();
    world.counter();
    world.pass(1);
    let before = world.counter();
    world.suspend(500);
    expect(world.counter() - before).toBeGreaterThanOrEqual(490);
    world.suspend(500);
    world.setWall(-500);
    world.pass(1000);
    before = world.counter();
    expect(world.trueMs() - before).toBeLessThanOrEqual(10.001);
  });

  it('reads the coarse clock once a second', () => {
    const world = machine();
    for (let i = 0; i < 100; i++) {
      world.pass(50);
      world.counter();
    }
    expect(world.readings()).toBe(5);
  });

  it('becomes finer than the coarse clock after a few readings', () => {
    const world = machine();
    for (let i = 0; i < 200; i++) {
      world.pass(1001.7);
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
    () => now,
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
