/**
 * Starts the postmaster itself, without pg_ctl in between: its pid is known at once, and its end is
 * an event. It gets a session of its own and its words go to a file, so that nothing ties its life
 * to the agent's.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { copyFile, readlink, stat, truncate, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ensureError, RegentError } from '../../support/errors.ts';
import { cleanEnvironment, lastLines } from '../../support/exec.ts';
import { HeldProcess, pidFileOwner } from './detect.ts';
import { kerberosEnv, NO_LIBPQ_ENV } from './libpq-environment.ts';
import type { LocalServer } from './local-server.ts';
import { binary, serverPrograms } from './programs.ts';

/** Where logging_collector is off the file takes everything PostgreSQL ever says. */
const KEEP_OUTPUT_BYTES = 32 * 1024 * 1024;

export interface Spawned {
  readonly child: ChildProcess;
  readonly process: HeldProcess;
  readonly output: OutputFile;
  /** It was started through the words of the tether. */
  readonly hasWords: boolean;
}

/** `args`: all after `-D`. Throws PG_START_FAILED. */
export async function spawnPostmaster(server: LocalServer, args: readonly string[]): Promise<Spawned> {
  const { settings, runAs } = server;
  const { dataDir } = settings.postgresql;
  const output = OutputFile.open(server);
  const words = (await server.tether?.words()) ?? [];
  const { before, env } = underPerl(words, serverEnvironment(server));
  const [program = '', ...all] = [...before, binary(settings, 'postgres'), '-D', dataDir, ...args];
  const child = spawn(program, all, {
    detached: true,
    stdio: ['ignore', output.fd, output.fd],
    env,
    cwd: '/',
    ...(runAs === null ? {} : { uid: runAs.uid, gid: runAs.gid }),
  });
  child.on('error', () => {});
  const process = child.pid === undefined ? null : HeldProcess.hold(child.pid);
  if (process === null) {
    const said = output.lastWords();
    output.close();
    const reason = child.pid === undefined ? ensureError((await once(child, 'error'))[0]).message : said;
    throw new RegentError('PG_START_FAILED', `PostgreSQL could not be started: ${reason}`, {
      mend: 'check postgresql.bin_dir and that the programs of PostgreSQL are installed',
    });
  }
  child.unref();
  return { child, process, output, hasWords: words.length > 0 };
}

/** Call it once the end of the process would be noticed, because it takes a moment. */
export async function holdTether({ tether, log }: LocalServer, { process, hasWords }: Spawned): Promise<void> {
  if (tether === null || (hasWords && (await tether.hold(process.pid)))) return;
  const { pid } = process;
  log.warning('PostgreSQL starts without its tether: if guard and agent were both killed, a primary would go on', { pid });
}

/**
 * Some variables that configure perl are meant for PostgreSQL's functions in Perl, not for the
 * program that becomes PostgreSQL. That program gets them as arguments and sets them. Exported for
 * its tests.
 */
export function underPerl(
  words: readonly string[],
  env: Record<string, string>,
): { readonly before: readonly string[]; readonly env: Record<string, string> } {
  if (words.length === 0) return { before: [], env };
  const entries = Object.entries(env);
  const forPerl = entries.filter(([name]) => name.startsWith('PERL'));
  const others = entries.filter(([name]) => !name.startsWith('PERL'));
  return {
    before: [...words, ...forPerl.map(([name, value]) => `${name}=${value}`)],
    // It says nothing about a locale that is not there.
    env: { ...Object.fromEntries(others), PERL_BADLANG: '0' },
  };
}

/**
 * PG_GRANDPARENT_PID: CreateLockFile() of PostgreSQL takes a pid file that names this pid for a
 * stale one. It is set only for a process that is proven to have the pid by chance. In any other
 * case PostgreSQL's own check keeps a second server away. Exported for its tests.
 */
export function serverEnvironment({ settings }: Pick<LocalServer, 'settings'>): Record<string, string> {
  const owner = pidFileOwner(settings.postgresql.dataDir, serverPrograms(settings));
  const arenas = process.env['PG_MALLOC_ARENA_MAX'];
  return cleanEnvironment(process.env, {
    ...NO_LIBPQ_ENV,
    ...kerberosEnv(settings),
    ...(arenas === undefined ? {} : { MALLOC_ARENA_MAX: arenas, PG_MALLOC_ARENA_MAX: undefined }),
    ...(owner?.verdict === 'unrelated' ? { PG_GRANDPARENT_PID: String(owner.pid) } : {}),
  });
}

/**
 * What the postmaster writes to stdout and stderr: everything until its own logging begins, and for
 * good where that is off.
 */
export class OutputFile {
  readonly path: string;
  readonly fd: number;
  readonly #from: number;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.fd = fd;
    this.#from = fstatSync(fd).size;
  }

  static open(server: LocalServer): OutputFile {
    let failure: unknown = null;
    for (const path of outputPaths(server)) {
      try {
        return OutputFile.#at(path, server);
      } catch (error) {
        failure = error;
      }
    }
    throw new RegentError('PG_START_FAILED', `no place for PostgreSQL's output: ${ensureError(failure).message}`, {
      mend: 'make log.dir or the directory above postgresql.data_dir writable',
      cause: failure,
    });
  }

  static #at(path: string, server: LocalServer): OutputFile {
    const fd = openSync(path, 'a+', 0o600);
    if (server.runAs !== null) chownSync(path, server.runAs.uid, server.runAs.gid);
    return new OutputFile(path, fd);
  }

  /** What was said since the file was opened, its last lines. */
  lastWords(): string {
    const end = fstatSync(this.fd).size;
    const length = Math.min(16_384, Math.max(0, end - this.#from));
    const buffer = Buffer.alloc(length);
    readSync(this.fd, buffer, 0, length, end - length);
    return lastLines(buffer.toString('utf8'), 8);
  }

  close(): void {
    closeSync(this.fd);
  }
}

type OutputPlace = Pick<LocalServer, 'settings' | 'stateDir'>;

interface WritingServer extends OutputPlace {
  readonly watch: { current(dataDir: string): { readonly pid: number } | null };
}

/** In order of preference. */
export function outputPaths(server: OutputPlace): string[] {
  const { postgresql, local } = server.settings;
  const places = [local.log.dir, server.stateDir, dirname(postgresql.dataDir), postgresql.dataDir];
  return places.filter((place) => place !== null).map((place) => join(place, outputName(postgresql.dataDir)));
}

const outputName = (dataDir: string) => `${basename(dataDir)}.postgres.log`;

/**
 * Keeps one older part. The server appends to the open file, so the file itself stays and is
 * truncated. That happens even where there is no room to keep the older part. Otherwise a full disk
 * would stop PostgreSQL.
 */
export async function trimOutput(server: WritingServer): Promise<void> {
  for (const path of new Set([...outputPaths(server), ...(await outputInUse(server))])) {
    const size = (await stat(path).catch(() => null))?.size ?? 0;
    if (size <= KEEP_OUTPUT_BYTES) continue;
    const copied = await copyFile(path, `${path}.1`).then(
      () => null,
      (error: unknown) => error,
    );
    if (copied !== null) await unlink(`${path}.1`).catch(() => {});
    await truncate(path, 0);
    if (copied !== null) throw copied;
  }
}

/** log.dir may be another one since the server was started. */
async function outputInUse({ settings, watch }: WritingServer): Promise<string[]> {
  const { dataDir } = settings.postgresql;
  const pid = watch.current(dataDir)?.pid;
  const path = pid === undefined ? '' : await readlink(`/proc/${pid}/fd/1`).catch(() => '');
  return basename(path) === outputName(dataDir) ? [path] : [];
}
