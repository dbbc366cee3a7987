/**
 * From nothing to a running primary with its users: the port's bootstrap(). The marker 'bootstrap'
 * stands until the end, and 'publication' then.
 */
import { chown, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isTrue } from '../../core/replica-methods.ts';
import { formatGuc, parseConf } from '../../pgconf/guc.ts';
import { RECOVERY_TARGETS } from '../../pgconf/guc-table.ts';
import { sleep } from '../../ports/clock.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import { readText, writeFileAtomic } from './atomic-file.ts';
import { type Bootstrapped, finishBootstrap, makeCluster } from './bootstrap.ts';
import { markIncomplete } from './data-dir.ts';
import { connectLocal, localEndpoint } from './heartbeat.ts';
import { endLeftoverTools } from './leftover-tools.ts';
import { depsOf, type LocalServer } from './local-server.ts';
import { createSuperuser } from './roles.ts';
import { scratchDirectory } from './scratch.ts';
import { discard } from './sql.ts';
import { startServer } from './start.ts';
import { stopServer } from './stop.ts';

const PRIMARY = { kind: 'primary' } as const;
const LOOK_MS = 50;

export type BootstrapOptions = Bounded & { readonly onSpawn?: (pid: number) => void };

/**
 * Throws what its steps throw: BOOTSTRAP_REFUSED, INITDB_FAILED, CUSTOM_BOOTSTRAP_FAILED,
 * PG_START_FAILED, POST_BOOTSTRAP_FAILED … Then no server is left running, and the directory is
 * marked.
 */
export async function bootstrapServer(server: LocalServer, options: BootstrapOptions): Promise<{ readonly systemIdentifier: string }> {
  const { clock, settings } = server;
  const deadline = clock.monotonicMs() + options.timeoutMs;
  const rest = (): BootstrapOptions => ({ ...options, timeoutMs: Math.max(1, deadline - clock.monotonicMs()) });
  await endLeftoverTools(clock, settings.postgresql.dataDir, options.timeoutMs);
  const made = await makeCluster(depsOf(server), rest());
  try {
    if (made.method === 'custom') await recoverInPrivate(server, made, rest);
    await startServer(server, PRIMARY, { ...rest(), evenIncomplete: true });
    await untilWritable(server, rest());
    const identity = await withClient(server, rest(), async (client) => {
      await finishBootstrap(depsOf(server), client, { ...rest(), ...localEndpoint(settings) });
      // What makes it whole must be on disk before the marker says so; the roles' commits are, by
      // their own flush.
      return (await client.query<{ id: string }>('SELECT system_identifier::text AS id FROM pg_control_system()')).rows[0]!.id;
    });
    await markIncomplete(settings.postgresql.dataDir, 'publication');
    return { systemIdentifier: identity };
  } catch (error) {
    await stopServer(server, 'immediate', { timeoutMs: 5000, beforeStopMs: 0 }).catch((failure) => {
      server.log.error('PostgreSQL could not be stopped after a failed bootstrap', { reason: ensureError(failure).message });
    });
    throw error;
  }
}

/**
 * A restored cluster may let no user in (another pg_hba.conf, another password), and may have to
 * finish a recovery first. So it is started in private: on a socket in a directory that nobody else
 * can enter, where no password is asked. There it is given its superuser, and stopped.
 */
async function recoverInPrivate(server: LocalServer, made: Bootstrapped, rest: () => BootstrapOptions): Promise<void> {
  const { settings, runAs } = server;
  const directory = await scratchDirectory('private');
  try {
    const access = join(directory, 'pg_hba.conf');
    await writeFile(access, 'local all all trust\n', { mode: 0o600 });
    if (runAs !== null) for (const path of [access, directory]) await chown(path, runAs.uid, runAs.gid);
    const prepare = made.pending === null ? null : await recoveryPreparation(server, made.pending.recovery);
    if (prepare !== null) server.log.info('waiting for end of recovery after bootstrap');
    await startServer(server, PRIMARY, {
      ...rest(),
      evenIncomplete: true,
      extraArgs: [
        '--listen_addresses=',
        `--unix_socket_directories=${directory}`,
        `--hba_file=${access}`,
        ...(prepare?.endsByItself === true ? ['--hot_standby=off'] : []),
      ],
      ...(prepare === null ? {} : { prepare: async () => void (await prepare.write()) }),
    });
    await untilWritable(server, rest());
    await withClient(server, rest(), (client) => createSuperuser(client, settings));
    await stopServer(server, 'fast', { ...rest(), beforeStopMs: 0 });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

interface Preparation {
  readonly write: () => Promise<unknown>;
  /**
   * Nobody has to look at the server before it opens for writes. Then it needs no limits as high as
   * those of the server it was copied from (max_connections …), which may have been raised after
   * the backup: a hot standby would wait for ever where WAL tells of that.
   */
  readonly endsByItself: boolean;
}

/**
 * Recovery settings go to postgresql.auto.conf, which is read last and which the next writing of
 * the configuration cleans. Null recovery: those the program left there stand, though the writing
 * that has just been done has taken them out.
 */
async function recoveryPreparation(server: LocalServer, recovery: Readonly<Record<string, string>> | null): Promise<Preparation> {
  const { dataDir } = server.settings.postgresql;
  const path = join(dataDir, 'postgresql.auto.conf');
  const own = { mode: 0o600, owner: server.runAs ?? undefined };
  const before = (await readText(path)) ?? '';
  if (recovery === null) {
    const isStandby = (await readText(join(dataDir, 'standby.signal'))) !== null;
    return { endsByItself: !isStandby && leavesRecovery(parseConf(before)), write: () => writeFileAtomic(path, before, own) };
  }
  const { standby_mode, ...settings } = recovery;
  const lines = Object.entries(settings).map(([name, value]) => `${formatGuc(name, value)}\n`);
  const isStandby = isTrue(standby_mode);
  const write = async () => {
    await writeFileAtomic(path, `${(await readText(path)) ?? ''}\n${lines.join('')}`, own);
    await writeFileAtomic(join(dataDir, isStandby ? 'standby.signal' : 'recovery.signal'), '', own);
  };
  return { endsByItself: !isStandby && leavesRecovery(settings), write };
}

/** At a target PostgreSQL pauses, unless it is told otherwise; at the end of all WAL it opens. */
function leavesRecovery(settings: Readonly<Record<string, string>>): boolean {
  const { recovery_target_action: action = '' } = settings;
  const hasTarget = RECOVERY_TARGETS.some((name) => (settings[name] ?? '') !== '');
  return !hasTarget || action.toLowerCase() === 'promote';
}

async function untilWritable(server: LocalServer, options: BootstrapOptions): Promise<void> {
  const deadline = server.clock.monotonicMs() + options.timeoutMs;
  await withClient(server, options, async (client) => {
    while ((await client.query<{ recovery: boolean }>('SELECT pg_is_in_recovery() AS recovery')).rows[0]!.recovery) {
      if (server.clock.monotonicMs() >= deadline || options.signal?.aborted) {
        throw new RegentError('BOOTSTRAP_IN_RECOVERY', 'the new cluster has not come out of recovery in time', {
          mend: 'see its log for how far recovery has come; recovery_target_action must not be pause',
        });
      }
      await sleep(server.clock, LOOK_MS, options.signal);
    }
  });
}

async function withClient<T>(
  server: LocalServer,
  options: BootstrapOptions,
  work: (client: Parameters<typeof createSuperuser>[0]) => Promise<T>,
): Promise<T> {
  const client = await connectLocal(server.settings, {
    applicationName: 'Regent bootstrap',
    connectTimeoutMs: options.timeoutMs,
    queryTimeoutMs: options.timeoutMs,
  });
  try {
    return await work(client);
  } finally {
    discard(client);
  }
}
