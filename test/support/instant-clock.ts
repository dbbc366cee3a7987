/** A clock whose timers end at once and move it on. */
export function instantClock(seen: { nowMs: number }) {
  return {
    bootMs: () => seen.nowMs,
    timer: (ms: number, callback: () => void) => {
      seen.nowMs += ms;
      queueMicrotask(callback);
      return () => undefined;
    },
  };
}
