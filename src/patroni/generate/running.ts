/** `--generate-config`: the configuration of a node whose PostgreSQL runs already. */
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type pg from 'pg';
import { readPidFile } from '../../adapters/postgres/pid-file.ts';
import { connect, discard, isTurnedAway } from '../../adapters/postgres/sql.ts';
import type { Environment } from '../../config/env.ts';
import { bracketed } from '../../config/hostport.ts';
import { patchMerge } from '../../config/merge.ts';
import { isClusterWide, isControlled, RECOVERY_GUCS } from '../../pgconf/guc-table.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import type { JsonObject } from '../../support/json.ts';
import { type Target, targetOf } from './dsn.ts';
import { configOf, hostAddress, REWIND_USER } from './template.ts';

const CONNECT_MS = 5000;

/** Of this node: another one may have other programs, or another place. */
const LOCAL = new Set([
  'archive_command',
  'restore_command',
  'archive_cleanup_command',
  'recovery_end_command',
  'ssl_passphrase_command',
  'external_pid_file',
]);
/** The configuration says these in other ways. */
const ELSEWHERE = new Set([
  'listen_addresses',
  'port',
  'cluster_name',
  'data_directory',
  'config_file',
  'hba_file',
  'ident_file',
  'synchronous_standby_names',
]);

const SETTINGS_QUERY = `
SELECT name, current_setting(name) AS value, context = 'internal' AS internal,
  setting IS DISTINCT FROM boot_val AND source IN ('configuration file', 'command line', 'environment variable') AS chosen
FROM pg_settings`;

interface SettingRow {
  readonly name: string;
  readonly value: string;
  readonly internal: boolean;
  readonly chosen: boolean;
}

/** `ask` is called where the server wants a password and none was given; null: nobody is there. */
export async function runningConfig(dsn: string | null, env: Environment, ask: () => Promise<string | null>): Promise<JsonObject> {
  const { client, target } = await enter(targetOf(dsn, env), ask);
  try {
    const superuser = await client.query<{ rolsuper: boolean }>('SELECT rolsuper FROM pg_roles WHERE rolname = current_user');
    if (superuser.rows[0]?.rolsuper !== true) {
      throw new RegentError('NO_SUPERUSER', `the user ${target.user} is not a superuser, and may not see all settings`, {
        mend: 'connect as a superuser: --dsn "user=postgres"',
      });
    }
    const { rows } = await client.query<SettingRow>(SETTINGS_QUERY);
    const binDir = await client.query<{ setting: string }>(`SELECT setting FROM pg_config WHERE name = 'BINDIR'`);
    return configOf(found(rows, target, binDir.rows[0]?.setting ?? ''), env);
  } finally {
    discard(client);
  }
}

async function enter(target: Target, ask: () => Promise<string | null>): Promise<{ client: pg.Client; target: Target }> {
  const open = (given: Target) =>
    connect({
      host: given.host,
      port: given.port,
      database: given.database,
      credentials: { username: given.user, password: given.password, options: given.sslmode === null ? {} : { sslmode: given.sslmode } },
      applicationName: 'Patroni',
      connectTimeoutMs: CONNECT_MS,
      queryTimeoutMs: CONNECT_MS,
      ordinaryUser: true,
    });
  try {
    return { client: await open(target), target };
  } catch (error) {
    const wantsPassword = isTurnedAway(error) || /password must be a/.test(ensureError(error).message);
    const password = target.password === null && wantsPassword ? await ask() : null;
    if (password === null) throw error;
    const asked = { ...target, password };
    return { client: await open(asked), target: asked };
  }
}

function found(rows: readonly SettingRow[], target: Target, compiledBinDir: string): JsonObject {
  const settingOf = (name: string) => rows.find((row) => row.name === name)?.value ?? '';
  const dataDir = settingOf('data_directory');
  const configDir = dirname(settingOf('config_file'));
  const chosen = rows.filter((row) => row.chosen && !row.internal && !ELSEWHERE.has(row.name));
  const mapOf = (keep: (row: SettingRow) => boolean) =>
    Object.fromEntries(chosen.filter((row) => keep(row) && row.value !== '').map((row) => [row.name, row.value]));
  const cluster = mapOf(({ name }) => !LOCAL.has(name) && !RECOVERY_GUCS.has(name));
  const controlled = Object.fromEntries(
    rows.filter(({ name }) => (isControlled(name) || isClusterWide(name)) && !ELSEWHERE.has(name)).map((row) => [row.name, row.value]),
  );
  const local = mapOf(({ name }) => LOCAL.has(name));
  const address = hostAddress();
  const port = settingOf('port');
  const listens = settingOf('listen_addresses').replace(/\s+/g, '');
  const rewinds = settingOf('wal_log_hints') === 'on' || settingOf('data_checksums') === 'on';
  const scope = settingOf('cluster_name');
  return patchMerge(scope === '' ? {} : { scope }, {
    bootstrap: { dcs: { postgresql: { use_pg_rewind: rewinds, parameters: { ...cluster, ...controlled } } } },
    postgresql: {
      listen: `${listens === '' ? address : listens}:${port}`,
      connect_address: `${bracketed(address)}:${port}`,
      data_dir: dataDir,
      bin_dir: binDirOf(dataDir) ?? compiledBinDir,
      ...(configDir === dataDir ? {} : { config_dir: configDir }),
      authentication: {
        superuser: { username: target.user, ...(target.password === null ? {} : { password: target.password }) },
        rewind: REWIND_USER,
      },
      parameters: { ...local, ...accessFiles(settingOf, configDir) },
      ...linesOf('pg_hba', settingOf('hba_file')),
      ...linesOf('pg_ident', settingOf('ident_file')),
    },
  });
}

/** Those that do not lie where they would be looked for. */
function accessFiles(settingOf: (name: string) => string, configDir: string): JsonObject {
  const names = ['hba_file', 'ident_file'].filter((name) => settingOf(name) !== join(configDir, `pg_${name.replace('_file', '')}.conf`));
  return Object.fromEntries(names.map((name) => [name, settingOf(name)]));
}

/** Of the program that runs, which may not be the one that was built with this server's library. */
function binDirOf(dataDir: string): string | null {
  try {
    const file = readPidFile(dataDir);
    return file === null ? null : dirname(readlinkSync(`/proc/${file.pid}/exe`));
  } catch {
    return null;
  }
}

/** Without comments. No lines: nothing is said of the file. */
function linesOf(key: 'pg_hba' | 'pg_ident', path: string): JsonObject {
  if (!existsSync(path)) return {};
  const lines = readFileSync(path, 'utf8')
    .replace(/\\\r?\n/g, ' ')
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  return lines.length === 0 ? {} : { [key]: lines };
}
