/**
 * A new cluster's data directory: by initdb, or by the user's own program (a restore from a backup,
 * usually). See docs/dialect.md, "Bootstrap". The marker 'bootstrap' is set here and stays: the
 * caller changes it once users exist and post_bootstrap has run.
 */
import { chown, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { isTrue } from '../../core/replica-methods.ts';
import { settingsFor } from '../../core/role-settings.ts';
import { isCustomBootstrap } from '../../core/server-state.ts';
import type { Settings } from '../../core/settings.ts';
import { connectionPairs, formatConninfo } from '../../pgconf/conninfo.ts';
import { normaliseGucs } from '../../pgconf/guc.ts';
import { INITDB_FORBIDDEN } from '../../pgconf/program-options.ts';
import { passfileLines } from '../../pgconf/server-config.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { RegentError } from '../../support/errors.ts';
import { lastLines, type RunResult } from '../../support/exec.ts';
import { shellWords } from '../../support/shell-words.ts';
import { fileMode, readText, removeFile, writeFileAtomic } from './atomic-file.ts';
import { optionArguments } from './binary-options.ts';
import { restoreConfigFiles } from './conf-backup.ts';
import { provideConfigDir } from './config-dir.ts';
import { bootstrapArguments } from './custom-method.ts';
import { inspectDataDir, makeDataDirectory, markIncomplete, removeDataDir, removeIfEmpty } from './data-dir.ts';
import type { Deps } from './deps.ts';
import { NO_OVERRULING_ENV } from './libpq-environment.ts';
import { removeOldWal } from './made-elsewhere.ts';
import { isMarkEntry } from './marks.ts';
import { binary, programMajor } from './programs.ts';
import { createReplicationRoles, createSuperuser } from './roles.ts';
import { scratchDirectory } from './scratch.ts';
import { removeSignalFiles } from './signal-files.ts';
import { lendDirectory, settleWork, workDirectory } from './staging.ts';

/**
 * Restoring to a point in time: PostgreSQL has to be started on these, and leaves recovery by
 * itself.
 */
export interface PreparedRecovery {
  /** recovery_conf of the method's section; null: the program's own recovery settings stand. */
  readonly recovery: Readonly<Record<string, string>> | null;
}

export interface Bootstrapped {
  readonly method: 'initdb' | 'custom';
  /** Null: the directory is a primary's already. */
  readonly pending: PreparedRecovery | null;
}

/**
 * Makes the data directory by the configured method. Throws BOOTSTRAP_REFUSED, CONFIG_DIR_UNUSABLE,
 * INITDB_FAILED, CUSTOM_BOOTSTRAP_FAILED; the marker then stays.
 */
export async function makeCluster(deps: Deps, options: Bounded): Promise<Bootstrapped> {
  await provideConfigDir(deps.settings, deps);
  if (isCustomBootstrap(deps.settings.local)) return await runBootstrapMethod(deps, options);
  await runInitdb(deps, options);
  return { method: 'initdb', pending: null };
}

export async function runInitdb(deps: Deps, options: Bounded): Promise<void> {
  const { settings } = deps;
  const { dataDir, superuser } = settings.postgresql;
  const { args, refused } = optionArguments(settings.local.bootstrap?.initdb ?? [], INITDB_FORBIDDEN);
  if (refused.length > 0) {
    throw new RegentError('INITDB_FAILED', `bootstrap.initdb may not contain ${refused.join(', ')}`, {
      mend: 'take the options out of bootstrap.initdb',
    });
  }
  await prepareDirectory(deps);
  const target = await workDirectory(dataDir, deps.runAs ?? null);
  const secret = await scratchDirectory('initdb');
  try {
    const pwfile = join(secret, 'password');
    if (superuser.password !== null) {
      await writeFile(pwfile, `${superuser.password}\n`, { mode: 0o600 });
      if (deps.runAs) for (const path of [pwfile, secret]) await chown(path, deps.runAs.uid, deps.runAs.gid);
      args.push(`--pwfile=${pwfile}`);
    }
    if (superuser.username !== '') args.push(`--username=${superuser.username}`);
    const result = await deps.run(binary(settings, 'initdb'), [...args, `--pgdata=${target}`], {
      timeoutMs: options.timeoutMs,
      ...(options.signal ? { signal: options.signal } : {}),
    });
    refuse('INITDB_FAILED', 'initdb', result);
  } finally {
    await rm(secret, { recursive: true, force: true });
  }
  await settleWork(dataDir);
  await restoreConfigFiles(settings, deps.runAs ?? null);
  await appendAccessLines(deps);
}

/** Throws CUSTOM_BOOTSTRAP_FAILED with the program's last words. */
export async function runBootstrapMethod(deps: Deps, options: Bounded): Promise<Bootstrapped> {
  const { settings } = deps;
  const { dataDir } = settings.postgresql;
  const bootstrap = settings.local.bootstrap;
  const given = bootstrap?.methodOptions ?? {};
  const { keep_existing_recovery_conf, recovery_conf } = given;
  const found = await entriesOf(dataDir);
  await prepareDirectory(deps, (found ?? []).length > 0);
  // One that is there and empty was made for this: a mount, or a directory whose mode is meant.
  if (found === null || found.length > 0) await removeIfEmpty(dataDir);
  const [file, ...args] = bootstrapArguments(bootstrap?.method ?? '', given, { scope: settings.local.scope, datadir: dataDir });
  const run = () => deps.run(file ?? '', args, { timeoutMs: options.timeoutMs, ...(options.signal ? { signal: options.signal } : {}) });
  const result = await lendDirectory(dataDir, 'bootstrap', deps.clock, run);
  refuse('CUSTOM_BOOTSTRAP_FAILED', `bootstrap method ${bootstrap?.method}`, result);
  if ((await readText(join(dataDir, 'PG_VERSION'))) === null) {
    throw new RegentError('CUSTOM_BOOTSTRAP_FAILED', `bootstrap method ${bootstrap?.method} left no data directory in ${dataDir}`);
  }
  await settleWork(dataDir);
  await restoreConfigFiles(settings, deps.runAs ?? null);
  await removeFile(join(dataDir, 'promote'));
  await appendAccessLines(deps);
  if (recovery_conf && typeof recovery_conf === 'object' && !Array.isArray(recovery_conf) && Object.keys(recovery_conf).length > 0) {
    const recovery = Object.fromEntries(Object.entries(recovery_conf).map(([name, value]) => [name.toLowerCase(), String(value)]));
    await removeSignalFiles(settings);
    return { method: 'custom', pending: { recovery } };
  }
  if (isTrue(keep_existing_recovery_conf)) return { method: 'custom', pending: { recovery: null } };
  await removeSignalFiles(settings);
  return { method: 'custom', pending: null };
}

/** All but the agent's marks; null: there is no such directory. */
async function entriesOf(dataDir: string): Promise<readonly string[] | null> {
  return await readdir(dataDir).then(
    (entries) => entries.filter((entry) => !isMarkEntry(entry)),
    () => null,
  );
}

/**
 * `keepAside`: what an earlier attempt left is moved to `<data directory>.removed`, because a
 * program of the user's may have put its only copy there.
 */
async function prepareDirectory(deps: Deps, keepAside = false): Promise<void> {
  const { dataDir } = deps.settings.postgresql;
  const { state, incompleteWork } = await inspectDataDir(dataDir);
  const ours = incompleteWork === 'bootstrap' || incompleteWork === 'clone';
  if (!ours && state !== 'missing') {
    throw new RegentError('BOOTSTRAP_REFUSED', `${dataDir} is ${state}: no new cluster is made in it`, {
      mend: 'move the directory away, or let the member join the existing cluster',
    });
  }
  await markIncomplete(dataDir, 'bootstrap', deps.runAs ?? null);
  // Where there is no cluster, files of this agent may lie there.
  await removeDataDir(dataDir, { keepAside, log: deps.log, major: await programMajor(deps) });
  await removeOldWal(deps, deps.settings.local.bootstrap?.initdb ?? []);
  await makeDataDirectory(dataDir, deps.runAs ?? null);
}

function refuse(code: string, what: string, result: RunResult): void {
  if (result.code === 0) return;
  const how = result.cause === 'exit' ? `ended with ${result.code ?? result.signal}` : `was stopped (${result.cause})`;
  throw new RegentError(code, `${what} ${how}: ${lastLines(result.stderr || result.stdout) || 'it said nothing'}`);
}

/** bootstrap.pg_hba, where nothing else says what pg_hba.conf holds. */
async function appendAccessLines(deps: Deps): Promise<void> {
  const settings = settingsFor(deps.settings, 'primary');
  const lines = settings.local.bootstrap?.pgHba ?? [];
  if (lines.length === 0 || settings.postgresql.pgHba !== null || normaliseGucs(settings.parameters)['hba_file'] !== undefined) return;
  const path = join(settings.postgresql.configDir, 'pg_hba.conf');
  const text = (await readText(path)) ?? '';
  const mode = await fileMode(path, settings.postgresql.dataDir);
  await writeFileAtomic(path, `${text.trimEnd()}\n\n${lines.join('\n')}\n`, { mode, owner: deps.runAs ?? undefined });
}

/**
 * On the new primary, in Patroni's order: the superuser, post_bootstrap, the other users. The
 * script connects to `host` and `port`. Throws POST_BOOTSTRAP_FAILED, or what the server says.
 */
export async function finishBootstrap(
  deps: Deps,
  client: pg.Client,
  options: Bounded & { readonly host: string; readonly port: number },
): Promise<void> {
  await createSuperuser(client, deps.settings);
  await runPostBootstrap(deps, options);
  await createReplicationRoles(client, deps.settings);
}

async function runPostBootstrap(deps: Deps, options: Bounded & { readonly host: string; readonly port: number }): Promise<void> {
  const { settings } = deps;
  const [file, ...args] = shellWords(settings.local.bootstrap?.postBootstrap ?? '');
  if (file === undefined) return;
  const { superuser, database } = settings.postgresql;
  deps.log.info('running post_bootstrap');
  const directory = await scratchDirectory('pass');
  try {
    const passfile = join(directory, 'passfile');
    const lines = passfileLines(superuser, options.host, options.port);
    await writeFile(passfile, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
    if (deps.runAs) for (const path of [passfile, directory]) await chown(path, deps.runAs.uid, deps.runAs.gid);
    const result = await deps.run(file, [...args, await scriptConninfo(deps, settings, database, options)], {
      timeoutMs: options.timeoutMs,
      ...(options.signal ? { signal: options.signal } : {}),
      // Nobody is there yet to acknowledge a synchronous commit.
      env: { ...NO_OVERRULING_ENV, PGPASSFILE: passfile, PGOPTIONS: '-c synchronous_commit=local -c statement_timeout=0' },
    });
    refuse('POST_BOOTSTRAP_FAILED', 'post_bootstrap', result);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function scriptConninfo(
  deps: Deps,
  settings: Settings,
  database: string,
  target: { readonly host: string; readonly port: number },
): Promise<string> {
  const pairs = connectionPairs({
    host: target.host,
    port: target.port,
    credentials: { ...settings.postgresql.superuser, options: {} },
    database,
    applicationName: 'Regent post_bootstrap',
    major: await programMajor(deps),
    passfile: null,
    krbsrvname: settings.postgresql.krbsrvname,
  });
  return formatConninfo(pairs);
}
