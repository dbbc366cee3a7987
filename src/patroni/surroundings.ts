/** What `--validate-config` asks this host: ports, etcd, directories, programs. */
import { accessSync, constants, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { unbracketed } from '../config/hostport.ts';
import { isMapping, valueAt } from '../config/merge.ts';
import { codeOf } from '../support/errors.ts';
import { runCommand } from '../support/exec.ts';
import type { JsonObject } from '../support/json.ts';
import { type Problem, refused, type Surroundings, splitHostPort } from './schema.ts';

const CONNECT_MS = 1000;
const VERSION_MS = 5000;
const NEEDED = ['pg_ctl', 'initdb', 'pg_controldata', 'pg_basebackup', 'postgres', 'pg_isready'] as const;

export function surroundings(raw: JsonObject, { ignoreListenPort }: { readonly ignoreListenPort: boolean }): Surroundings {
  return {
    raw,
    listens: async (value) => {
      const [hosts, port] = splitHostPort(value);
      // The address alone is fine for PostgreSQL.
      if (port === null) return value.includes(':') ? refused('contains a wrong value') : null;
      if (ignoreListenPort) return null;
      const taken = await Promise.all(hosts.split(',').map((host) => answers(reachableName(unbracketed(host.trim())), port)));
      return taken.includes(true) ? refused(`Port ${port} is already in use.`) : null;
    },
    reachable: async (value) => {
      const texts = value.split(',').map((text) => text.trim());
      const tried = await Promise.all(
        texts.map(async (text) => {
          const [host, port] = splitHostPort(text.replace(/^https?:\/\//, ''));
          return { text, good: await answers(host, port ?? portOf(raw)) };
        }),
      );
      const lost = tried.find(({ good }) => !good);
      return lost === undefined ? null : refused(`${lost.text} is not reachable`);
    },
    dataDirectory: (directory) => dataDirectory(directory, raw),
  };
}

/** Of the hosts that are written without one. */
function portOf(raw: JsonObject): number {
  const given = valueAt(raw, ['etcd3', 'port']) ?? valueAt(raw, ['etcd', 'port']);
  return Number(given ?? 2379);
}

function reachableName(host: string): string {
  if (host === '' || host === '*' || host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

async function answers(host: string, port: number): Promise<boolean> {
  // connect() throws at what is no port.
  if (!(port >= 0 && port <= 65_535)) return false;
  return await new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(CONNECT_MS, () => end(false));
    socket.on('connect', () => end(true));
    socket.on('error', () => end(false));
  });
}

async function dataDirectory(directory: string, raw: JsonObject): Promise<string | null> {
  let entries: readonly string[];
  try {
    entries = readdirSync(directory);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    return refused(codeOf(error) === 'ENOTDIR' ? 'is not a directory' : `cannot be read (${codeOf(error)})`);
  }
  if (entries.length === 0) return null;
  const version = join(directory, 'PG_VERSION');
  if (!existsSync(version) || !existsSync(join(directory, 'global', 'pg_control')) || !isDirectory(join(directory, 'pg_wal')))
    return refused("doesn't look like a valid data directory");
  const made = readFileSync(version, 'utf8').trim();
  const program = programPath(raw, 'postgres');
  const major = program === null ? null : await majorOf(program);
  // Without the program another check tells.
  return major === null || major === made ? null : refused(`is of PostgreSQL ${made}, and ${program} is of ${major}`);
}

const isDirectory = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** `15`; null: it does not tell, or cannot be run (its interpreter is missing). */
export async function majorOf(program: string): Promise<string | null> {
  const { stdout, code } = await runCommand(program, ['--version'], { timeoutMs: VERSION_MS }).catch(() => ({ stdout: '', code: null }));
  return code === 0 ? (/\(PostgreSQL\) (\d+)/.exec(stdout)?.[1] ?? null) : null;
}

/** All of them, under their usual names. */
export function hasPrograms(directory: string): boolean {
  return NEEDED.every((name) => isProgram(join(directory, name)));
}

/** Programs that are not where the configuration says. */
export function missingPrograms(raw: JsonObject): Problem[] {
  if (!isMapping(raw['postgresql'])) return [];
  const directory = binDir(raw);
  const path = 'postgresql.bin_dir';
  const place = directory === '' ? '$PATH' : directory;
  return NEEDED.filter((name) => programPath(raw, name) === null).map((name) => ({
    path,
    text: `${path}  does not contain '${programName(raw, name)}' in '${place}'`,
  }));
}

function binDir(raw: JsonObject): string {
  const given = valueAt(raw, ['postgresql', 'bin_dir']);
  return typeof given === 'string' ? given : '';
}

function programName(raw: JsonObject, name: string): string {
  const given = valueAt(raw, ['postgresql', 'bin_name', name]);
  return typeof given === 'string' && given !== '' ? given : name;
}

function programPath(raw: JsonObject, name: string): string | null {
  const directory = binDir(raw);
  const directories = directory === '' ? (process.env['PATH'] ?? '').split(delimiter) : [directory];
  const paths = directories.filter((one) => one !== '').map((one) => join(one, programName(raw, name)));
  return paths.find(isProgram) ?? null;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
