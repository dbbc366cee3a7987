/** Time enters through here and nowhere else. The simulator's clock is virtual. */
export interface Clock {
  /**
   * Milliseconds since the machine booted, suspended time included. The clock of leases. The guard
   * process reads the same clock (Linux CLOCK_BOOTTIME, /proc/uptime), so deadlines may be handed
   * to it.
   */
  bootMs(): number;
  /**
   * Milliseconds on a clock that stands still while the machine is suspended. A growing distance to
   * bootMs: we slept.
   */
  monotonicMs(): number;
  /** Epoch milliseconds. For display and for the operator's schedules only; it may jump. */
  wallMs(): number;
  /**
   * Calls back once after `ms`; the returned function cancels it and may be called any number of
   * times.
   */
  timer(ms: number, callback: () => void): () => void;
  /** Uniform in [0, 1). */
  random(): number;
}

/**
 * Resolves after `ms`, or at once when the signal is already aborted or becomes so. Never rejects.
 */
export function sleep(clock: Pick<Clock, 'timer'>, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.timer(ms, done);
    signal?.addEventListener('abort', done, { once: true });
  });
}
