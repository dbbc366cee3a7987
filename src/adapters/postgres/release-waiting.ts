/** Releases commits that wait for a standby which confirmed them before it was asked to. */
import type pg from 'pg';
import { parseSyncNames, realNames } from '../../core/sync-names.ts';
import { sleep } from '../../ports/clock.ts';
import { ensureError } from '../../support/errors.ts';
import type { LocalServer } from './local-server.ts';

const LOOK_MS = 5;
/**
 * Taking up a SIGHUP is a matter of milliseconds for a walsender that is not stuck; one that is
 * stuck confirms nothing anyway.
 */
const WALSENDERS_MS = 500;

const DEAF = `SELECT count(*)::int AS deaf FROM pg_stat_replication
WHERE state = 'streaming' AND sync_priority = 0 AND lower(application_name) = ANY ($1)`;

/**
 * A walsender releases waiting commits when a reply of its standby comes in
 * (SyncRepReleaseWaiters), going by the names it knows then. A standby may have flushed WAL before
 * its walsender took up the names that include it. Commits in that WAL wait for its next reply.
 * Without further WAL that comes once in wal_receiver_status_interval (10 s), so all who write one
 * after another stand still for 10 s. So once the walsenders know, an empty transaction gives the
 * standbys something to confirm. It never throws: commits do obey the names already.
 */
export async function askStandbysAgain(
  server: LocalServer,
  client: pg.Client,
  names: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { clock, log } = server;
  const wanted = realNames(parseSyncNames(names)).map((name) => name.toLowerCase());
  const deadline = clock.monotonicMs() + WALSENDERS_MS;
  try {
    while (wanted.length > 0 && clock.monotonicMs() < deadline && !signal?.aborted) {
      if ((await client.query<{ deaf: number }>(DEAF, [wanted])).rows[0]?.deaf === 0) break;
      await sleep(clock, LOOK_MS, signal);
    }
    // Has an id, so it leaves a commit record; it must wait for no standby itself.
    await client.query('BEGIN; SET LOCAL synchronous_commit = local; SELECT txid_current(); COMMIT');
  } catch (error) {
    log.warning(`the standbys could not be asked to confirm again: ${ensureError(error).message}`);
  }
}
