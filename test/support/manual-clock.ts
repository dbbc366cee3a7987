import type { Clock } from '../../src/ports/clock.ts';

export interface ManualClock extends Pick<Clock, 'bootMs' | 'timer'> {
  /**
   * Moves time on, and runs what falls due, in order. What each has set off is done before the
   * next.
   */
  advance(ms: number): Promise<void>;
  /** Timers that are set. */
  readonly pending: number;
}

/** A clock that stands still between two calls of `advance`. */
export function manualClock(beginMs = 0): ManualClock {
  let now = beginMs;
  let timers: { readonly atMs: number; readonly callback: () => void }[] = [];
  const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    bootMs: () => now,
    timer: (ms, callback) => {
      const timer = { atMs: now + ms, callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    get pending() {
      return timers.length;
    },
    advance: async (ms) => {
      const endMs = now + ms;
      await settled();
      for (;;) {
        const due = timers.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
        if (due === undefined) break;
        timers = timers.filter((other) => other !== due);
        now = Math.max(now, due.atMs);
        due.callback();
        await settled();
      }
      now = endMs;
    },
  };
}
