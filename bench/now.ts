/**
 * CLOCK_MONOTONIC in milliseconds: the same in every process of the machine, so that an event here
 * and an acknowledgement there compare.
 */
export function nowMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}
