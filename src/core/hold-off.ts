/** How long to wait before a job that failed is tried again. */
import type { Context } from './context.ts';
import type { JobKind } from './effects.ts';

type RetriedJob = Exclude<JobKind, 'checkpoint'>;

/**
 * The wait after `count` failures in a row: one second at first, then doubled each time, at most
 * half a minute.
 */
export function backoffMs(count: number): number {
  return Math.min(30_000, 1000 * 2 ** Math.max(0, count - 1));
}

/** Milliseconds still to wait before this kind of job may be tried again; 0: now. */
export function holdOffMs(c: Context, kind: RetriedJob): number {
  const failure = c.m.failures[kind];
  if (failure === undefined || settingsChanged(c, kind)) return 0;
  return Math.max(0, failure.lastAtMs + backoffMs(failure.count) - c.o.nowMs);
}

/**
 * The settings in force when it failed were others, and the change may be the remedy. This does not
 * hold for a promotion or a handover, because waiting also gives other members their turn.
 */
function settingsChanged(c: Context, kind: JobKind): boolean {
  if (kind === 'promote' || kind === 'handover' || kind === 'demote-cluster') return false;
  const [then, now] = [c.m.failures[kind]?.configVersion, c.o.configVersion];
  return then !== undefined && now !== undefined && then !== now;
}
