/**
 * The configuration of a server that no agent has looked after yet. A restart starts it on Regent's
 * files. So its configuration that lies elsewhere (Debian: /etc/postgresql/15/main) is copied into
 * Regent's place first, or Regent's files are not written at all.
 */
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Settings } from '../../core/settings.ts';
import { baseConfName, confName } from '../../pgconf/conf-place.ts';
import { controlledGucs, formatGuc, normaliseGucs } from '../../pgconf/guc.ts';
import { CONTROLLED_GUCS, isControlled } from '../../pgconf/guc-table.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import { fileMode, readText, writeFileAtomic } from './atomic-file.ts';
import { basePath, configPath } from './base-place.ts';
import { keepBefore } from './before.ts';
import { inspectDataDir } from './data-dir.ts';
import { isSamePath } from './doors.ts';
import { textOf } from './file-text.ts';
import { flattened, movedAccessFile } from './flatten.ts';
import type { LocalServer } from './local-server.ts';
import { isManaged, isUsual, lastConfigFile } from './origin.ts';

const ASK_MS = 5000;

const ORIGIN_QUERY = `
SELECT name, current_setting(name) AS value, source = 'command line' AS given FROM pg_settings
WHERE source = 'command line' OR name IN ('config_file', 'hba_file', 'ident_file') OR name = ANY($1)`;

interface OriginRow {
  readonly name: string;
  readonly value: string;
  readonly given: boolean;
}

interface TakenServer extends Pick<LocalServer, 'settings' | 'role' | 'log' | 'runAs'> {
  readonly watch: { current(dataDir: string): unknown };
  readonly heartbeat: Pick<LocalServer['heartbeat'], 'open' | 'query'>;
}

/**
 * Call it before files are written. True: something was kept. Throws CONFIG_ELSEWHERE (nothing is
 * written, PostgreSQL stays as it is), and what asking a running server throws.
 */
export async function keepOrigin(server: TakenServer): Promise<boolean> {
  const { settings, watch } = server;
  const { dataDir } = settings.postgresql;
  if (server.role !== null || (await isManaged(settings))) return false;
  // A cluster that is being made here has no configuration but ours.
  if ((await inspectDataDir(dataDir)).state !== 'valid') return false;
  if (watch.current(dataDir) !== null) return keepRunning(server);
  const file = await lastConfigFile(dataDir);
  if (file !== null && !isUsual(settings, file) && (await readText(file).catch(() => '')) !== null) throw elsewhere(settings, file);
  return false;
}

async function keepRunning(server: TakenServer): Promise<boolean> {
  const { settings, heartbeat, log, runAs } = server;
  const { configDir, dataDir, customConf } = settings.postgresql;
  await heartbeat.open(settings, ASK_MS);
  const rows = await heartbeat.query<OriginRow>(ORIGIN_QUERY, [[...CONTROLLED_GUCS]], ASK_MS);
  const settingOf = (name: string) => rows.find((row) => row.name === name)?.value ?? null;
  const file = settingOf('config_file');
  if (file === null)
    throw new RegentError('CONFIG_UNKNOWN', 'PostgreSQL does not tell where its configuration lies', { policy: 'transient' });
  const put = async (name: string, text: string) => {
    const path = await configPath(settings, name);
    await keepBefore(path, runAs, dataDir);
    await writeFileAtomic(path, text, { mode: await fileMode(path, dataDir), owner: runAs ?? undefined, spare: dataDir });
    log.info(`${path} was taken over from the running server`, {
      from: name === baseConfName(settings) ? file : settingOf(`${name.slice(3, -5)}_file`),
    });
  };
  let kept = false;
  for (const which of ['hba', 'ident'] as const) {
    const text = await accessFile(settings, which, settingOf(`${which}_file`));
    if (text === null) continue;
    await put(`pg_${which}.conf`, text);
    kept = true;
  }
  const given = rows.filter((row) => row.given && !isControlled(row.name) && !PLACES.has(row.name));
  const lost = customConf === null && (!isUsual(settings, file) || given.length > 0);
  // Last, because with it everything is kept.
  const base = await basePath(settings);
  if (lost && (await readText(base)) === null) {
    const text =
      isUsual(settings, file) && dirname(base) === configDir ? textOf(await readFile(file)) : await flattenedOrElsewhere(settings, file);
    await put(baseConfName(settings), [`# Taken over by Regent from ${file}`, text, ...commandLine(given)].join('\n'));
    kept = true;
  }
  if (!isUsual(settings, file)) {
    log.warning(
      `the server that was taken over goes on reading ${file} until it is restarted: only then do Regent's settings (synchronous_mode, too) take effect`,
      {
        mend: `regentctl restart ${settings.local.scope} ${settings.local.name}; or write postgresql.config_dir: ${dirname(file)}, and no restart is needed`,
      },
    );
  }
  warnOfControlled(server, rows);
  return kept;
}

const PLACES: ReadonlySet<string> = new Set(['config_file', 'data_directory', 'hba_file', 'ident_file']);

function commandLine(given: readonly OriginRow[]): string[] {
  return given.length === 0 ? [] : ['# from its command line', ...given.map(({ name, value }) => formatGuc(name, value)), ''];
}

/**
 * The text to put into our own place of the file; null: it lies there, or Regent writes it, or it
 * is named by hand.
 */
async function accessFile(settings: Settings, which: 'hba' | 'ident', file: string | null): Promise<string | null> {
  const { configDir, pgHba, pgIdent } = settings.postgresql;
  const owned = (which === 'hba' ? pgHba : pgIdent) !== null || normaliseGucs(settings.parameters)[`${which}_file`] !== undefined;
  if (owned || file === null || isSamePath(file, join(configDir, `pg_${which}.conf`))) return null;
  try {
    const text = await readText(file);
    return text === null ? null : movedAccessFile(text, dirname(file));
  } catch (error) {
    throw elsewhere(settings, file, error);
  }
}

async function flattenedOrElsewhere(settings: Settings, file: string): Promise<string> {
  try {
    return await flattened(file);
  } catch (error) {
    throw elsewhere(settings, file, error);
  }
}

function elsewhere(settings: Settings, file: string, cause?: unknown): RegentError {
  const { configDir, dataDir } = settings.postgresql;
  const reason = cause === undefined ? '' : ` (${ensureError(cause).message})`;
  const renamed = basename(file).endsWith(confName(settings)) ? '' : `, with that file as ${confName(settings)} in it`;
  return new RegentError(
    'CONFIG_ELSEWHERE',
    `the configuration of the server in ${dataDir} is ${file}, and not in ${configDir}: started on files there it would lose all of it${reason}`,
    {
      mend: `write postgresql.config_dir: ${dirname(file)}${renamed}; or, if ${configDir} is meant, remove ${join(dataDir, 'postmaster.opts')} and what names that file`,
      cause,
    },
  );
}

/** These count in the dynamic configuration alone, so that all members have the same. */
function warnOfControlled(server: TakenServer, rows: readonly OriginRow[]): void {
  const wanted: Readonly<Record<string, string>> = controlledGucs(server.settings);
  const changes = rows.filter(({ name, value }) => ADVISED.test(name) && wanted[name] !== undefined && wanted[name] !== value);
  if (changes.length === 0) return;
  const list = changes.map(({ name, value }) => `${name}=${value}`);
  server.log.warning('settings of the server that was taken over give way to those of the cluster at its next restart', {
    settings: changes.map(({ name, value }) => `${name}: ${value} -> ${wanted[name]}`),
    mend: `regentctl edit-config ${list.map((one) => `--pg ${one}`).join(' ')}`,
  });
}

const ADVISED = /^(max_|wal_level|track_commit_timestamp)/;
