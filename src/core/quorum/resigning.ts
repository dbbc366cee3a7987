/**
 * A leader that knows that it cannot serve asks its voters for another one, in its beats. It cannot
 * hand over by itself: processes that wait for a disk that hangs cannot even be killed, and the
 * leader key must not go while PostgreSQL may take writes. The voters' promises need neither.
 */
import type { Context } from '../context.ts';
import { possibleSuccessors } from '../race/successors.ts';
import { quorumFence } from './in-force.ts';

const boundMs = ({ o }: Context): number => o.settings.dynamic.unresponsiveAfterSeconds * 1000;

/** Its disk has finished no write for postgresql_unresponsive_after. */
export const diskHangs = (c: Context): boolean => (c.o.pg.diskWaitsMs ?? 0) >= boundMs(c);

function cannotServe(c: Context): boolean {
  if (c.isPrimary) return diskHangs(c);
  const { notRunningSinceMs } = c.m;
  return c.o.pg.state === 'unresponsive' && notRunningSinceMs !== null && c.o.nowMs - notRunningSinceMs >= boundMs(c);
}

/**
 * As of this round; null: it does not resign. Once it does, it goes on for as long as the cause
 * lasts, because voters that have promised are no longer what a successor looks like.
 */
export function resigningSince(c: Context): number | null {
  const { view, m, o } = c;
  // These wait for their checkpoint, which waits for the disk.
  const isFree = o.job === null || ((o.job.job.kind === 'handover' || o.job.job.kind === 'restart') && diskHangs(c));
  const leads = c.lockMine && c.mayLeadNow && !c.paused && isFree;
  if (view === null || !leads || quorumFence(view, o.settings.dynamic) === null || !cannotServe(c)) return null;
  return m.resigningSinceMs ?? (possibleSuccessors(c, view, { despiteLag: true }).length > 0 ? o.nowMs : null);
}
