/**
 * Makes the data directory as a copy of another member's. Until the copy is whole a mark keeps
 * everybody from starting it.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Source } from '../../core/effects.ts';
import { BASEBACKUP, keepsData, methodsOf, replicaMethods } from '../../core/replica-methods.ts';
import { sleep } from '../../ports/clock.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import { lastLines } from '../../support/exec.ts';
import { readText } from './atomic-file.ts';
import { basebackupForbidden, optionArguments } from './binary-options.ts';
import { provideConfigDir } from './config-dir.ts';
import { runCustomMethod } from './custom-method.ts';
import {
  clearIncomplete,
  inspectDataDir,
  makeDataDirectory,
  markIncomplete,
  parseMajor,
  removeDataDir,
  removeIfEmpty,
} from './data-dir.ts';
import type { Deps } from './deps.ts';
import { clearMark, setMark } from './directory-mark.ts';
import { removeForeignSettings } from './foreign-settings.ts';
import { NO_LIBPQ_ENV } from './libpq-environment.ts';
import { keepMade, noteMade, removeMade, removeOldWal } from './made-elsewhere.ts';
import { forgetKeptBase, settleBase } from './own-base.ts';
import { copyName, programConnection } from './passfile.ts';
import { binary, programMajor } from './programs.ts';
import { beStandby } from './signal-files.ts';
import { removeSocketFiles } from './sockets.ts';
import { lendDirectory, settleWork, workDirectory } from './staging.ts';

const BASEBACKUP_ATTEMPTS = 2;
const RETRY_MS = 1000;
const SOURCE_TIMEOUT_MS = 5000;

export type CloneOptions = Bounded & { readonly fromLeader: boolean };

/**
 * Tries the configured methods in turn (`fromLeader`: pg_basebackup only). source null: methods
 * that work without a leader only. Does not start the server. standby.signal is in place, so that
 * the next start is a standby's.
 *
 * Throws CLONE_REFUSED when the directory holds something that no clone of ours left there. Throws
 * CLONE_FAILED with the last method's words; the directory is then empty, or holds what a method
 * with keep_data left, still marked. What a method of the user's made is marked as restored: nobody
 * knows how old it is.
 */
export async function clone(deps: Deps, source: Source | null, options: CloneOptions): Promise<void> {
  const { dataDir } = deps.settings.postgresql;
  await refuseUnlessOurs(dataDir);
  await keepUnpublished(deps);
  const deadline = deps.clock.monotonicMs() + options.timeoutMs;
  const major = await programMajor(deps);
  await provideConfigDir(deps.settings, deps);
  const { methods, because } = replicaMethods(methodsOf(deps.settings), source !== null, options.fromLeader);
  const from = source === null ? 'without a leader' : `from ${source.name}`;
  let failure: Error | null = null;
  for (const [i, method] of methods.entries()) {
    const startedMs = deps.clock.monotonicMs();
    const leftMs = deadline - startedMs;
    if (options.signal?.aborted || leftMs <= 0) break;
    deps.log.info(`making a replica ${from} by ${method} (${i + 1} of ${methods.length}; ${because})`);
    try {
      await attempt(deps, method, source, { ...options, timeoutMs: leftMs, major });
      deps.log.info(`${method} made a replica in ${Math.round((deps.clock.monotonicMs() - startedMs) / 1000)} s`);
      return;
    } catch (error) {
      failure = ensureError(error);
      deps.log.warning(`${method} did not make a replica`, { method, reason: failure.message });
    }
  }
  const ended = options.signal?.aborted ? 'the clone was called off' : (failure?.message ?? 'the time for it was up');
  throw new RegentError('CLONE_FAILED', `no replica could be made from ${source?.name ?? 'any method without a leader'}: ${ended}`, {
    policy: 'transient',
    mend:
      (failure instanceof RegentError ? failure.mend : null) ??
      "check that the source's pg_hba.conf lets the replication user in and that max_wal_senders leaves room",
    cause: failure,
  });
}

async function refuseUnlessOurs(dataDir: string): Promise<void> {
  const { state, incompleteWork, major } = await inspectDataDir(dataDir);
  if (state === 'missing') return;
  // Without PG_VERSION its removal had begun: the agent that removed it had been told that it is
  // not needed.
  if (state === 'incomplete' && (incompleteWork !== 'rewind' || major === null)) return;
  const what = incompleteWork === 'rewind' ? 'was being rewound and may hold commits nobody else has' : `is ${state}`;
  throw new RegentError('CLONE_REFUSED', `${dataDir} ${what}: it is not overwritten`, {
    mend: 'reinitialize the member (regentctl reinit), or move the directory away',
  });
}

/**
 * A new cluster that another was published instead of. No router or client was sent to it, but a
 * client that connected by its address may want to look.
 */
async function keepUnpublished(deps: Deps): Promise<void> {
  const { dataDir } = deps.settings.postgresql;
  if ((await inspectDataDir(dataDir)).incompleteWork !== 'publication') return;
  // An interrupted removal leaves a directory that is not whole.
  await markIncomplete(dataDir, 'clone');
  await removeDataDir(dataDir, { keepAside: true, log: deps.log });
}

async function attempt(
  deps: Deps,
  method: string,
  source: Source | null,
  options: CloneOptions & { readonly major: number },
): Promise<void> {
  const { dataDir } = deps.settings.postgresql;
  const keep = keepsData(deps.settings.postgresql, method);
  await markIncomplete(dataDir, 'clone', deps.runAs ?? null);
  try {
    if (method === BASEBACKUP) {
      if (source) await basebackup(deps, source, options);
    } else {
      if (!keep) {
        await emptyDirectory(deps, options.major);
        await removeIfEmpty(dataDir);
      }
      const run = () => runCustomMethod(deps, method, source, options);
      await (keep ? run() : lendDirectory(dataDir, 'clone', deps.clock, run));
    }
    await settleWork(dataDir);
    await finish(deps, method, source, options.timeoutMs);
  } catch (error) {
    if (!keep) {
      await removeDataDir(dataDir, { keepAside: false, log: deps.log, major: options.major });
      await removeMade(deps, options.major);
      await clearIncomplete(dataDir);
    }
    throw error;
  }
}

async function basebackup(deps: Deps, source: Source, options: CloneOptions & { readonly major: number }): Promise<void> {
  const deadline = deps.clock.monotonicMs() + options.timeoutMs;
  for (let round = 1; ; round += 1) {
    await emptyDirectory(deps, options.major);
    await removeMade(deps, options.major);
    await removeOldWal(deps, deps.settings.postgresql.basebackup);
    await noteMade(deps, source, { ...options, timeoutMs: Math.min(SOURCE_TIMEOUT_MS, deadline - deps.clock.monotonicMs()) });
    const leftMs = deadline - deps.clock.monotonicMs();
    try {
      return await basebackupOnce(deps, source, { ...options, timeoutMs: leftMs });
    } catch (error) {
      const again = deadline - deps.clock.monotonicMs() > RETRY_MS && !options.signal?.aborted;
      if (round >= BASEBACKUP_ATTEMPTS || !again) throw error;
      deps.log.warning('pg_basebackup failed and is tried again', { reason: ensureError(error).message });
      await sleep(deps.clock, RETRY_MS, options.signal);
    }
  }
}

async function basebackupOnce(deps: Deps, source: Source, options: CloneOptions & { readonly major: number }): Promise<void> {
  const { settings, log } = deps;
  const given = settings.postgresql.basebackup;
  const { args, refused } = optionArguments(given, basebackupForbidden(given, options.major));
  if (refused.length > 0) log.error('options of postgresql.basebackup that Regent decides on are ignored', { options: refused });
  const connection = await programConnection(deps, {
    ...source,
    credentials: settings.postgresql.replication,
    major: options.major,
    applicationName: copyName(settings),
  });
  const target = await workDirectory(settings.postgresql.dataDir, deps.runAs ?? null);
  try {
    const result = await deps.run(
      binary(settings, 'pg_basebackup'),
      [
        `--pgdata=${target}`,
        '--wal-method=stream',
        `--dbname=${connection.conninfo}`,
        '--no-password',
        // A spread checkpoint would keep a new replica waiting for minutes.
        ...(args.some((arg) => arg.startsWith('--checkpoint')) ? [] : ['--checkpoint=fast']),
        ...args,
      ],
      {
        timeoutMs: Math.max(1, options.timeoutMs),
        ...(options.signal ? { signal: options.signal } : {}),
        env: { ...NO_LIBPQ_ENV, ...connection.env },
      },
    );
    if (result.code === 0) return;
    const how = result.cause === 'exit' ? '' : ` (stopped: ${result.cause})`;
    throw new RegentError('CLONE_FAILED', `pg_basebackup from ${source.name}${how}: ${lastLines(result.stderr) || 'it said nothing'}`, {
      policy: 'transient',
    });
  } finally {
    await connection.remove();
  }
}

/** Everything but the marker's removal must be on disk before the marker goes. */
async function finish(deps: Deps, method: string, source: Source | null, timeoutMs: number): Promise<void> {
  const { settings } = deps;
  const { dataDir } = settings.postgresql;
  const owner = deps.runAs ?? null;
  const version = await readText(join(dataDir, 'PG_VERSION'));
  const control = await stat(join(dataDir, 'global', 'pg_control')).catch(() => null);
  if (version === null || parseMajor(version) === null || control === null) {
    throw new RegentError('CLONE_FAILED', `${method} left no usable data directory in ${dataDir}`, { policy: 'transient' });
  }
  await settleBase(settings, deps.log, owner);
  await removeSocketFiles(dataDir);
  await removeForeignSettings(dataDir, source);
  await beStandby(deps);
  if (method !== BASEBACKUP) {
    const result = await deps.run(binary(settings, 'initdb'), ['--sync-only', `--pgdata=${dataDir}`], { timeoutMs });
    if (result.code !== 0)
      throw new RegentError('CLONE_FAILED', `the new data directory could not be flushed to disk: ${lastLines(result.stderr)}`);
  }
  // Before it counts as whole, so that nobody takes it for more than it is.
  if (method === BASEBACKUP) await clearMark(dataDir, 'restored');
  else await setMark(dataDir, 'restored');
  await clearMark(dataDir, 'strayed');
  await clearMark(dataDir, 'opened-by-hand');
  await keepMade(dataDir);
  await clearIncomplete(dataDir);
  await forgetKeptBase(dataDir);
}

/**
 * An empty directory, owned by the user PostgreSQL runs as; what an interrupted clone left is
 * removed. The caller has set the marker.
 */
async function emptyDirectory(deps: Deps, major: number): Promise<void> {
  const { dataDir } = deps.settings.postgresql;
  await removeDataDir(dataDir, { keepAside: false, log: deps.log, major });
  await makeDataDirectory(dataDir, deps.runAs ?? null);
}
