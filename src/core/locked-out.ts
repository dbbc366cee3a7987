/**
 * A server that runs and does not let its agent in: a changed password, a pg_hba.conf without a
 * line for the agent, no connection free. Over older connections the agent still sees and does all
 * it must. An agent that was started since is blind, and has only files and signals.
 */
import type { Context } from './context.ts';
import type { ServerRole } from './effects.ts';
import type { Memory } from './model.ts';

/** It runs and belongs to this cluster, and only its files tell anything of it. */
export function isBlind({ o: { pg }, unadopted }: Context): boolean {
  return pg.state === 'running' && pg.sql === null && pg.lockedOut !== undefined && pg.dataDir === 'valid' && !unadopted;
}

/** A server that does not answer at all does not say whether it lets the agent in. */
export function lockedOut({ o }: Context, before: Memory): Memory['lockedOut'] {
  const reason = o.pg.lockedOut;
  if (reason === undefined) return o.pg.state === 'running' || o.pg.state === 'stopped' ? null : before.lockedOut;
  return { reason, sinceMs: before.lockedOut?.sinceMs ?? o.nowMs, sinceWallMs: before.lockedOut?.sinceWallMs ?? o.wallMs };
}

/**
 * The role by its files, and by the leader key; null: they do not tell enough to write files for
 * it.
 */
export function blindRole(c: Context, source: ServerRole & { kind: 'standby' }): ServerRole | null {
  if (!isBlind(c)) return null;
  if (c.o.pg.standbySignal) return source;
  return c.lockMine && c.mayLeadNow ? { kind: 'primary' } : null;
}

export interface LockNote {
  readonly level: 'info' | 'warning';
  readonly text: string;
}

const causeOf = (reason: string) => reason.replace(/\d+/g, '#');

/**
 * What is new for a reader of the log: the lockout begins, has another cause, or is over. A server
 * that is down lets nobody in.
 */
export function lockNotes(
  before: Memory['lockedOut'],
  { lockedOut: after, state }: Pick<Memory, 'lockedOut' | 'state'>,
): readonly LockNote[] {
  if (after === null) {
    return before === null || state !== 'running' ? [] : [{ level: 'info', text: 'PostgreSQL lets the agent in again' }];
  }
  if (before !== null && causeOf(before.reason) === causeOf(after.reason)) return [];
  return [{ level: 'warning', text: `the agent is locked out of PostgreSQL: ${after.reason}` }];
}
