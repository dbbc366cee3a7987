/**
 * Letting go of the former primary: from then on this standby confirms nothing to it any more, and
 * its position is final.
 */
import type { Context } from './context.ts';

/**
 * PostgreSQL tries to connect again every wal_retrieve_retry_interval (5 s by default): it has
 * tried, and nobody let it in.
 */
const TRIED_IN_VAIN_MS = 6000;
/** Where the file that says so can be written, it is in force by then. */
const BY_FILE_MS = 1500;

/**
 * Where the file that would say so cannot be written, or has no effect, the former primary is let
 * go once it is gone: etcd says that nobody leads (the lease is over, and with it the time in which
 * that one's guard had to stop it), and for longer than PostgreSQL waits before it connects again
 * there has been no walreceiver. A full disk confirms nothing meanwhile either. It is no promise:
 * should a primary that nobody could stop let it in later, and the file be stuck still, it may
 * confirm again.
 */
export function isLetGo(c: Context | null): boolean {
  if (c === null || !c.unlocked || c.o.pg.sql === null || c.o.pg.sql.receiver !== null) return false;
  const { receiverGoneSinceMs, leaderlessSinceMs } = c.m;
  if (receiverGoneSinceMs === null || leaderlessSinceMs === null) return false;
  return c.o.nowMs - receiverGoneSinceMs >= TRIED_IN_VAIN_MS && c.o.nowMs - leaderlessSinceMs >= BY_FILE_MS;
}
