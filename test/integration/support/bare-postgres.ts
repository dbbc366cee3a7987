/**
 * One PostgreSQL without an agent: initdb in a temporary directory, started and stopped as the
 * tests please.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { findBinDir } from './bin-dir.ts';

export interface BarePostgres {
  readonly dataDir: string;
  readonly owner: { readonly uid: number; readonly gid: number };
  /** What start() runs. */
  readonly command: readonly string[];
  start(): ChildProcess;
  /** Resolves with a connection once the server takes one. */
  connect(): Promise<pg.Client>;
  /** Kills what is left of the server and removes the directory. */
  remove(): Promise<void>;
}

/** PostgreSQL refuses to run as root; the user `postgres` stands in then. */
export function postgresOwner(): { readonly uid: number; readonly gid: number } {
  if (process.getuid?.() !== 0) return { uid: process.getuid!(), gid: process.getgid!() };
  const entry = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((line) => line.startsWith('postgres:'));
  const [, , uid, gid] = entry!.split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

export function createBarePostgres(): BarePostgres {
  const owner = postgresOwner();
  const root = mkdtempSync(join(tmpdir(), 'regent-bare-'));
  chownSync(root, owner.uid, owner.gid);
  const dataDir = join(root, 'data');
  execFileSync(join(findBinDir(), 'initdb'), ['-D', dataDir, '-U', 'postgres', '-A', 'trust', '-N', '--locale=C'], {
    ...owner,
    stdio: 'ignore',
  });
  const program = join(findBinDir(), 'postgres');
  const args = ['-D', dataDir, '-c', 'listen_addresses=', '-c', `unix_socket_directories=${root}`, '-c', 'max_connections=20'];
  let server: ChildProcess | null = null;

  return {
    dataDir,
    owner,
    command: [program, ...args],
    start: () => {
      server = spawn(program, args, { ...owner, stdio: 'ignore' });
      return server;
    },
    connect: async () => {
      for (const end = performance.now() + 60_000; ; ) {
        const client = new pg.Client({ host: root, user: 'postgres', database: 'postgres', connectionTimeoutMillis: 10_000 });
        client.on('error', () => undefined);
        try {
          await client.connect();
          return client;
        } catch (error) {
          if (performance.now() > end) throw error;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    },
    remove: async () => {
      if (server && server.exitCode === null && server.signalCode === null) {
        const gone = new Promise((resolve) => server?.once('exit', resolve));
        server.kill('SIGQUIT');
        server.kill('SIGCONT');
        await gone;
      }
      rmSync(root, { recursive: true, force: true });
    },
  };
}
