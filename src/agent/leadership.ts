/** What a round found of leading, before the end of the lease has its say. */
import { type Context, isPrimaryOrSilent } from '../core/context.ts';
import type { Memory } from '../core/model.ts';

export interface Leadership {
  /**
   * PostgreSQL serves as a leader's does, as far as is known: a primary's, or a standby leader's.
   */
  readonly serves: boolean;
  /** In a pause the leader key is held without regard to the lease. */
  readonly held: boolean;
}

/** Before the first round. */
export const NO_LEADERSHIP: Leadership = { serves: false, held: false };

export const leadership = (c: Context, memory: Memory): Leadership => ({ serves: servesWrites(c, memory), held: c.paused && c.lockMine });

/**
 * An answer that is late does not turn clients away; a server that is down, starting or in recovery
 * does, and one that keeps clients out.
 */
function servesWrites(c: Context, memory: Memory): boolean {
  if (memory.resigningSinceMs !== null) return false;
  if (c.followsRemote && !c.paused) return c.isStandby && memory.role === 'standby_leader';
  return c.o.pg.clientsOut !== true && isPrimaryOrSilent(c, memory);
}
