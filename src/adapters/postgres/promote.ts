/**
 * Promotion by the file and the signal that pg_ctl uses, and its end watched closely. It needs no
 * new connection: an open one is asked whether the server has left recovery. Without one the
 * control file tells.
 */
import { unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sleep } from '../../ports/clock.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { RegentError } from '../../support/errors.ts';
import { type LocalServer, runner } from './local-server.ts';
import { binary } from './programs.ts';

const LOOK_MS = 10;
/**
 * The startup process may notice the request just before it goes to sleep for
 * wal_retrieve_retry_interval (5 s by default), and then sleeps it out. Asking again wakes it.
 */
const ASK_AGAIN_MS = 50;
const ANSWER_MS = 1000;

/**
 * Throws PROMOTE_TIMEOUT (it may still happen), PROMOTE_FAILED when the server is not running or
 * goes away.
 */
export async function promoteServer(server: LocalServer, options: Bounded): Promise<void> {
  const { clock, settings, watch } = server;
  const deadline = clock.monotonicMs() + options.timeoutMs;
  const postmaster = watch.current(settings.postgresql.dataDir);
  if (postmaster === null) throw failed('PostgreSQL is not running');
  const request = join(settings.postgresql.dataDir, 'promote');
  try {
    let askAt = 0;
    while (await inRecovery(server)) {
      const now = clock.monotonicMs();
      if (postmaster.state() === 'gone') throw failed('PostgreSQL ended while being promoted');
      if (now >= deadline || options.signal?.aborted) {
        throw new RegentError(
          'PROMOTE_TIMEOUT',
          `PostgreSQL is still in recovery ${Math.round(options.timeoutMs)} ms after the promotion was asked for`,
          {
            policy: 'transient',
          },
        );
      }
      if (now >= askAt) {
        askAt = now + ASK_AGAIN_MS;
        await writeFile(request, '', { mode: 0o600 });
        postmaster.signal('SIGUSR1');
      }
      await sleep(clock, LOOK_MS, options.signal);
    }
  } finally {
    // The last one asked for may have come too late to be read.
    await unlink(request).catch(() => {});
  }
  if (server.role?.kind === 'standby') server.role = { kind: 'primary' };
}

/** The control file says "in production" just before the server takes writes (StartupXLOG). */
async function inRecovery(server: LocalServer): Promise<boolean> {
  const { control, heartbeat, settings, runAs } = server;
  const answer = await heartbeat.query<{ recovery: boolean }>('SELECT pg_is_in_recovery() AS recovery', [], ANSWER_MS).catch(() => []);
  const [row] = answer;
  if (row !== undefined) return row.recovery;
  const read = control.read(settings.postgresql.dataDir, binary(settings, 'pg_controldata'), runner(runAs), ANSWER_MS);
  return (await read.catch(() => null))?.state !== 'in production';
}

function failed(message: string): RegentError {
  return new RegentError('PROMOTE_FAILED', message, { policy: 'transient' });
}
