/**
 * What PostgreSQL itself says of a walreceiver that fails. It writes them to its own log only, so
 * that log is read from the moment the trouble began. The log is the file of the logging collector,
 * or the one with the postmaster's output.
 */
import { open, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { LocalServer } from './local-server.ts';
import { outputPaths } from './spawn.ts';

const READ_BYTES = 64 * 1024;

/**
 * English messages of walreceiver.c, libpqwalreceiver.c and, about timelines, xlogrecovery.c,
 * PostgreSQL 13 to 18. In other languages the agent's own words must do.
 */
export const WORDS: readonly RegExp[] = [
  /(?:streaming replication receiver "[^"]*" )?could not connect to the primary server: .*/,
  /could not receive data from WAL stream: .*/,
  /could not start WAL streaming: .*/,
  /could not receive (?:database system identifier|timeline history file).*/,
  /database system identifier differs between the primary and standby.*/,
  /highest timeline \d+ of the primary is behind recovery timeline \d+.*/,
  /new timeline \d+ forked off current database system timeline \d+ before current recovery point.*/,
  /terminating walreceiver due to timeout.*/,
];

/** How PostgreSQL says that WAL is no longer there; the server that sends WAL passes it on. */
export const REMOVED = /requested WAL segment [0-9A-F]+ has already been removed/;

/**
 * The last such message in a piece of a log (plain, csv or json); null: none. What differs from one
 * try to the next is left out.
 */
export function lastWords(text: string): string | null {
  for (const line of text.split('\n').reverse()) {
    for (const pattern of WORDS) {
      const found = pattern.exec(line);
      if (found !== null) return tidied(unquoted(line, found.index, found[0]));
    }
  }
  return null;
}

/**
 * In csv and json the message ends with a quote that is not one of its own: those are doubled, or
 * escaped.
 */
function unquoted(line: string, at: number, message: string): string {
  if (line.startsWith('{')) return (message.split(/(?<!\\)"/)[0] ?? '').replaceAll('\\"', '"').replace(/\\n.*/, '');
  return line[at - 1] === '"' ? (message.split(/(?<!")"(?!")/)[0] ?? '').replaceAll('""', '"') : message;
}

const tidied = (message: string) =>
  message
    .replaceAll(/\bPID \d+/g, 'another process')
    .replaceAll(/ {2,}/g, ' ')
    .trim();

/** Paths that PostgreSQL tells may be relative to its data directory. */
const LOG_FILE = 'SELECT pg_catalog.pg_current_logfile() AS file';
const ASK_MS = 300;
/** Others may ask for the facts many times a second. */
const FRESH_MS = 500;

interface LoggingServer extends Pick<LocalServer, 'clock' | 'settings' | 'stateDir'> {
  readonly heartbeat: Pick<LocalServer['heartbeat'], 'query'>;
}

export class ServerLog {
  readonly #server: LoggingServer;
  /** File to the size it had when it began to matter. */
  #began = new Map<string, number>();
  #last: { readonly atMs: number; readonly words: string | null } | null = null;

  constructor(server: LoggingServer) {
    this.#server = server;
  }

  /** From now on. Never throws. */
  async begin(): Promise<void> {
    const files = await this.#files();
    const sizes = await Promise.all(files.map(async (file) => [file, (await stat(file).catch(() => null))?.size ?? 0] as const));
    this.#began = new Map(sizes);
    this.#last = null;
  }

  /** Null: nothing was said, or the log cannot be read (it may go to syslog). Never throws. */
  async words(): Promise<string | null> {
    const now = this.#server.clock.monotonicMs();
    if (this.#last !== null && now - this.#last.atMs < FRESH_MS) return this.#last.words;
    const files = await this.#files();
    const found = await Promise.all(files.map((file) => added(file, this.#began.get(file) ?? 0).catch(() => '')));
    // What else is logged may have pushed them out of what is read.
    this.#last = { atMs: now, words: lastWords(found.join('\n')) ?? this.#last?.words ?? null };
    return this.#last.words;
  }

  async #files(): Promise<string[]> {
    const { heartbeat, settings } = this.#server;
    const rows = await heartbeat.query<{ file: string | null }>(LOG_FILE, [], ASK_MS).catch(() => []);
    const collected = rows[0]?.file ?? null;
    // What the postmaster said before its collector began is of no interest here.
    return collected === null ? outputPaths(this.#server) : [resolve(settings.postgresql.dataDir, collected)];
  }
}

/** A file that is new, or was cut, counts from its beginning. */
async function added(path: string, from: number): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const start = Math.max(size - READ_BYTES, size < from ? 0 : from);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.max(0, size - start)), 0, Math.max(0, size - start), start);
    return buffer.subarray(0, bytesRead).toString('utf8');
  } finally {
    await file.close();
  }
}
