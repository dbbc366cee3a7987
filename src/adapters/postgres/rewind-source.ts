/**
 * Makes sure that the source of a rewind has its new timeline in its control file, where pg_rewind
 * reads it.
 */
import type pg from 'pg';
import type { Source } from '../../core/effects.ts';
import { addressOf } from '../../core/remote.ts';
import type { Credentials } from '../../core/settings.ts';
import { sleep } from '../../ports/clock.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import type { Deps } from './deps.ts';
import { connectSource } from './source-connection.ts';
import { discard, sqlState } from './sql.ts';

const LOOK_MS = 100;
const CONNECT_MS = 5000;

interface Standing {
  readonly in_recovery: boolean;
  readonly settled: boolean;
}

/**
 * A promoted server writes its new timeline number into new WAL files at once, into the control
 * file with the first checkpoint only.
 */
const STANDING = `SELECT pg_is_in_recovery() AS in_recovery, CASE WHEN pg_is_in_recovery() THEN false ELSE
 (SELECT timeline_id FROM pg_control_checkpoint()) = ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int END AS settled`;

export function rewindCredentials(deps: Pick<Deps, 'settings'>): Credentials {
  const { rewind, superuser } = deps.settings.postgresql;
  return rewind.username === '' ? superuser : rewind;
}

/**
 * Throws SOURCE_UNREACHABLE; SOURCE_NOT_READY when it is in recovery, or its checkpoint does not
 * come in time.
 */
export async function settleSource(deps: Deps, source: Source, options: Bounded): Promise<void> {
  const deadline = deps.clock.monotonicMs() + options.timeoutMs;
  try {
    await withSource(deps, source, options, async (client) => {
      let asked = false;
      for (;;) {
        const { in_recovery: inRecovery, settled } = (await client.query<Standing>(STANDING)).rows[0]!;
        if (inRecovery) throw notReady(`${source.name} is in recovery itself`);
        if (settled) return;
        if (!asked) {
          asked = true;
          await checkpoint(deps, client, source);
          continue;
        }
        if (deps.clock.monotonicMs() >= deadline || options.signal?.aborted)
          throw notReady(`${source.name} has not finished its first checkpoint since its promotion`);
        await sleep(deps.clock, LOOK_MS, options.signal);
      }
    });
  } catch (error) {
    if (error instanceof RegentError) throw error;
    throw unreachable(source, error);
  }
}

/**
 * Works on a connection of the rewind user, which ends with the work, or when it is called off.
 * Throws SOURCE_UNREACHABLE, and what the work throws.
 */
export async function withSource<T>(deps: Deps, source: Source, options: Bounded, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await openSource(deps, source, options.timeoutMs);
  const onAbort = () => discard(client);
  options.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await work(client);
  } finally {
    options.signal?.removeEventListener('abort', onAbort);
    discard(client);
  }
}

async function openSource(deps: Deps, source: Source, timeoutMs: number): Promise<pg.Client> {
  const { settings } = deps;
  try {
    return await connectSource(deps.connect, source, {
      database: settings.postgresql.database,
      credentials: rewindCredentials(deps),
      ordinaryUser: true,
      applicationName: `${settings.local.name} rewind`,
      connectTimeoutMs: Math.min(timeoutMs, CONNECT_MS),
      queryTimeoutMs: timeoutMs,
    });
  } catch (error) {
    throw unreachable(source, error);
  }
}

/**
 * A rewind user need not be allowed to: then the source's own checkpoint after its promotion is
 * waited for.
 */
async function checkpoint(deps: Deps, client: pg.Client, source: Source): Promise<void> {
  try {
    await client.query('CHECKPOINT');
  } catch (error) {
    if (sqlState(error) !== '42501') throw error;
    deps.log.info(`the rewind user may not CHECKPOINT on ${source.name}; its own is waited for`);
  }
}

function notReady(message: string): RegentError {
  return new RegentError('SOURCE_NOT_READY', message, { policy: 'transient' });
}

function unreachable(source: Source, error: unknown): RegentError {
  return new RegentError('SOURCE_UNREACHABLE', `${source.name} cannot be rewound from: ${ensureError(error).message}`, {
    policy: 'transient',
    mend: `check that ${addressOf(source)} is reachable and lets the rewind user in`,
    cause: error,
  });
}
