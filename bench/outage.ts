/** What an event cost its client, from the client's own record. Pure. */

/** [id of the row, when its acknowledgement had arrived in ms, port of the server that gave it]. */
export type Ack = readonly [id: number, atMs: number, port: number];
/** [when in ms, what failed: a write whose fate is then unknown, or an attempt to connect]. */
export type Failure = readonly [atMs: number, kind: 'write' | 'connect'];

export interface Outage {
  /** The longest time between two acknowledgements, the last one before the event included, ms. */
  readonly gapMs: number;
  readonly failedWrites: number;
  readonly failedConnects: number;
}

/**
 * Throws when nothing was acknowledged before the event, or nothing after it. Acknowledgements in
 * the order of their arrival.
 */
export function outageOf(acks: readonly Ack[], failures: readonly Failure[], eventMs: number, endMs: number): Outage {
  const first = acks.findLastIndex(([, atMs]) => atMs <= eventMs);
  const within = acks.slice(Math.max(0, first)).filter(([, atMs]) => atMs <= endMs);
  if (first < 0 || within.length < 2) throw new Error('the client was not writing before or after the event');
  const gaps = within.slice(1).map(([, atMs], index) => atMs - within[index]![1]);
  const counted = failures.filter(([atMs]) => atMs >= eventMs && atMs <= endMs);
  const count = (kind: Failure[1]) => counted.filter((failure) => failure[1] === kind).length;
  return { gapMs: Math.max(...gaps), failedWrites: count('write'), failedConnects: count('connect') };
}

/** True when the client has been writing without trouble for the last `calmMs`. */
export function isCalm(acks: readonly Ack[], failures: readonly Failure[], nowMs: number, calmMs: number): boolean {
  const since = nowMs - calmMs;
  if ((failures.at(-1)?.[0] ?? 0) >= since) return false;
  const before = acks.findLastIndex(([, atMs]) => atMs < since);
  if (before < 0) return false;
  const times = [...acks.slice(before).map(([, atMs]) => atMs), nowMs];
  return times.every((atMs, index) => index === 0 || atMs - times[index - 1]! < calmMs / 4);
}
