/**
 * `primary_race_backoff`: an operator who sets it would rather wait than fail over while the former
 * primary still writes. It may only have lost its way to etcd, and may get its key back.
 *
 * The race waits one `loop_wait`, and then for as long as WAL keeps coming; never longer than the
 * setting. It counts from when nobody leads, or, where promises replace the lease, from when the
 * leader is missed. A change that an operator asked for does not wait, nor one after a leader whose
 * PostgreSQL is down by its own word: nothing writes there, and all WAL that it sent is here.
 */
import { memberOf } from '../cluster.ts';
import type { Context } from '../context.ts';
import type { WalSeen } from '../postgres-facts.ts';
import { dueRequest } from './operator-request.ts';
import { ownPosition } from './positions.ts';

export function walSeen(c: Context, before: WalSeen | null): WalSeen | null {
  if (!c.isStandby) return null;
  const lsn = ownPosition(c)?.lsn;
  if (lsn === undefined || before?.lsn === lsn) return before;
  return { lsn, movedAtMs: before === null ? null : c.o.nowMs };
}

/** `sinceMs`: since when nobody leads, or the leader is missed; null: somebody leads. */
export function backsOff(c: Context, sinceMs: number | null): boolean {
  const { loopWaitSeconds, primaryRaceBackoffSeconds } = c.o.settings.dynamic;
  if (primaryRaceBackoffSeconds <= 0 || c.paused || sinceMs === null || !c.m.streamed || dueRequest(c) !== null || isDown(c)) return false;
  const waitedMs = c.o.nowMs - sinceMs;
  const loopMs = loopWaitSeconds * 1000;
  return waitedMs < primaryRaceBackoffSeconds * 1000 && (waitedMs < loopMs || isMoving(c, loopMs));
}

const DOWN: ReadonlySet<string> = new Set(['stopped', 'crashed', 'start failed']);

/**
 * The last leader says that it has no PostgreSQL running. An agent that was ended in good order
 * leaves that in its member key, and does not answer any more.
 */
function isDown({ m: { formerLeader }, o, view }: Context): boolean {
  if (formerLeader === null) return false;
  const answer = o.peers?.get(formerLeader);
  if (answer !== undefined) return DOWN.has(answer.state);
  return view !== null && memberOf(view, formerLeader)?.state === 'stopped';
}

function isMoving({ m, o }: Context, withinMs: number): boolean {
  const movedAtMs = m.walSeen?.movedAtMs ?? null;
  return o.pg.sql?.receiver?.status === 'streaming' && movedAtMs !== null && o.nowMs - movedAtMs < withinMs;
}

/**
 * In the words that people search the log for. The seconds are those at the start of a `loop_wait`,
 * so that the log does not count them down.
 */
export function backoffText(c: Context, sinceMs: number | null): string {
  const { loopWaitSeconds, primaryRaceBackoffSeconds } = c.o.settings.dynamic;
  const loops = Math.floor((c.o.nowMs - (sinceMs ?? c.o.nowMs)) / (loopWaitSeconds * 1000));
  const seconds = primaryRaceBackoffSeconds - loops * loopWaitSeconds;
  return `My (${c.me}) wal position moved since last heart beat loop, ${seconds} seconds until leader race`;
}
