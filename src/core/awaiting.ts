/** What an operator has scheduled for a time that is still to come. */
import type { Context } from './context.ts';

const awaiting = (action: string, at: string, inMs: number) => `Awaiting ${action} at ${at} (in ${Math.round(inMs / 1000)} seconds)`;

/** Of a switchover, as the leader that will hand over sees it; null: none is scheduled. */
export function awaitedSwitchover({ o, view, lockMine, paused }: Context): string | null {
  const request = view?.failover ?? null;
  if (request === null || request.scheduledAt === null || request.scheduledAtMs === null || !lockMine || paused) return null;
  const inMs = request.scheduledAtMs - o.wallMs;
  return inMs <= 0 ? null : awaiting(request.leader === null ? 'failover' : 'switchover', request.scheduledAt, inMs);
}

/** `at`: as the operator wrote it. */
export const awaitedRestart = (at: string, inMs: number): string => awaiting('restart', at, inMs);
