/**
 * Connections to PostgreSQL. A client that timed out or failed is thrown away, never mended: what
 * state its server side is in cannot be known.
 */
import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { userInfo } from 'node:os';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import pg from 'pg';
import type { Credentials } from '../../core/settings.ts';
import { codeOf, ensureError, RegentError } from '../../support/errors.ts';

export interface ConnectOptions {
  /** Name, address, or a socket directory (starts with '/'). */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly credentials: Credentials;
  readonly applicationName: string;
  /** Until the server is ready for queries, over all attempts. */
  readonly connectTimeoutMs: number;
  /** For every statement, on both sides of the wire. */
  readonly queryTimeoutMs: number;
  /** On the server's side, where that is another one. */
  readonly statementTimeoutMs?: number;
  /**
   * The user may be no superuser, and may set no more than anybody may: a server that has loaded
   * pg_stat_statements refuses a connection that asks for more.
   */
  readonly ordinaryUser?: true;
  /** `name=value` settings of the session. search_path is pg_catalog unless given. */
  readonly settings?: Readonly<Record<string, string>>;
  /**
   * A physical replication connection: it understands replication commands only, and `database` is
   * not used.
   */
  readonly replication?: boolean;
}

const sockets = new WeakMap<pg.Client, Socket>();

/**
 * Throws SQL_CONNECT_FAILED with the server's or the system's error as `cause` (see `sqlState`,
 * `codeOf`); SQL_TIMEOUT when the time was up.
 */
export async function connect(options: ConnectOptions): Promise<pg.Client> {
  const deadline = performance.now() + options.connectTimeoutMs;
  let failure: unknown = null;
  for (const ssl of tlsAttempts(options.host, options.credentials.options)) {
    const leftMs = Math.ceil(deadline - performance.now());
    if (leftMs <= 0) break;
    try {
      return await attempt(options, ssl, leftMs);
    } catch (error) {
      failure = error;
      if (!mayTryOtherEncryption(error)) break;
    }
  }
  const where = `${options.host}:${options.port}`;
  if (failure === null || isTimeout(failure)) {
    const message = `PostgreSQL at ${where} did not accept a connection within ${Math.round(options.connectTimeoutMs)} ms`;
    throw new RegentError('SQL_TIMEOUT', message, { policy: 'transient', cause: failure });
  }
  const message = `could not connect to PostgreSQL at ${where}: ${ensureError(failure).message}`;
  throw new RegentError('SQL_CONNECT_FAILED', message, { policy: 'transient', cause: failure });
}

/** Ends a client at once, in whatever state it is. Waits for nothing. */
export function discard(client: pg.Client | null): void {
  if (!client) return;
  client.removeAllListeners('error');
  client.on('error', () => {});
  const socket = sockets.get(client);
  // The terminate message spares the server a log line about a lost connection; destroying cannot
  // wait for it to arrive.
  client.end().catch(() => {});
  const timer = setTimeout(() => socket?.destroy(), 50);
  timer.unref();
}

/** The five-character SQLSTATE of an error or of its cause; null when the server said nothing. */
export function sqlState(error: unknown): string | null {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth += 1) {
    const code = codeOf(at);
    if (code !== null && /^[0-9A-Z]{5}$/.test(code) && 'severity' in at) return code;
  }
  return null;
}

/** The system's error code (ECONNREFUSED, ENOENT …) of an error or of its cause. */
export function systemCode(error: unknown): string | null {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth += 1) {
    const code = codeOf(at);
    if (code !== null && /^E[A-Z]{3,}$/.test(code)) return code;
    if (at instanceof AggregateError) for (const inner of at.errors) if (codeOf(inner)) return codeOf(inner);
  }
  return null;
}

/**
 * The client gave up waiting (ours or pg's own deadline), or the server cancelled at
 * statement_timeout.
 */
export function isTimeout(error: unknown): boolean {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth += 1) {
    if (codeOf(at) === 'SQL_TIMEOUT' || at.message === 'Query read timeout' || at.message === 'timeout expired') return true;
  }
  return sqlState(error) === '57014' || systemCode(error) === 'ETIMEDOUT';
}

/**
 * A server that starts, recovers or shuts down says cannot_connect_now; the others come from one
 * that is about to.
 */
export const STARTING_STATES: ReadonlySet<string> = new Set(['57P03', '57P01', '57P02']);

/**
 * The server runs, and does not let the agent in: a wrong password, no line in pg_hba.conf, no
 * connection free.
 */
export function isTurnedAway(error: unknown): boolean {
  if (codeOf(error) === 'PG_REFUSED') return true;
  const state = sqlState(error);
  return state !== null && !STARTING_STATES.has(state) && !isTimeout(error);
}

/**
 * Settings that would change what the agent's statements do or say; ALTER ROLE, ALTER DATABASE or a
 * parameter may have set them for the session.
 */
const DEFENSES: Readonly<Record<string, string>> = {
  search_path: 'pg_catalog',
  default_transaction_read_only: 'off',
  default_transaction_isolation: 'read committed',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  datestyle: 'ISO',
};

/** Only a superuser may set them. */
const SUPERUSER_DEFENSES: Readonly<Record<string, string>> = { 'pg_stat_statements.track': 'none' };

/**
 * Double-quoted where the words need it: PostgreSQL's own splitting of `options` knows backslashes
 * only.
 */
function sessionOptions(options: ConnectOptions): string {
  const settings = { ...DEFENSES, ...(options.ordinaryUser ? {} : SUPERUSER_DEFENSES), ...options.settings };
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value.replace(/[\\ ]/g, '\\$&')}`)
    .join(' ');
}

async function attempt(options: ConnectOptions, ssl: TlsOptions | false, timeoutMs: number): Promise<pg.Client> {
  const socket = new Socket();
  const { username, password } = options.credentials;
  const config: pg.ClientConfig & { replication?: string } = {
    host: options.host,
    port: options.port,
    user: username === '' ? userInfo().username : username,
    database: options.database,
    ssl,
    application_name: options.applicationName,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: options.queryTimeoutMs,
    stream: () => socket,
    ...(password === null ? {} : { password }),
    ...(options.replication
      ? // Without options of its own it would take PGOPTIONS from the environment.
        {
          replication: 'true',
          options: '-c lock_timeout=0',
          types: { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig,
        }
      : { options: sessionOptions(options), statement_timeout: options.statementTimeoutMs ?? options.queryTimeoutMs }),
    ...(options.credentials.options['sslnegotiation'] === 'direct' && ssl ? { sslnegotiation: 'direct' as const } : {}),
  };
  const client = new pg.Client(config);
  sockets.set(client, socket);
  // An idle client's lost connection must not become an uncaught error; the next query on it fails
  // and tells.
  client.on('error', () => {});
  try {
    await client.connect();
    // The agent's life is not bound to a quiet connection.
    socket.unref();
    return client;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/**
 * The order of libpq's sslmode, `given` with its names,
 * https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-SSLMODE-STATEMENTS.
 */
export function tlsAttempts(host: string, given: Readonly<Record<string, string>>): ReadonlyArray<TlsOptions | false> {
  if (host.startsWith('/')) return [false];
  const mode = given['sslmode'] ?? 'prefer';
  if (mode === 'disable') return [false];
  const base: TlsOptions = {
    rejectUnauthorized: false,
    ...(given['sslcert'] ? { cert: readFileSync(given['sslcert']) } : {}),
    ...(given['sslkey'] ? { key: readFileSync(given['sslkey']) } : {}),
    ...(given['sslpassword'] ? { passphrase: given['sslpassword'] } : {}),
    ...(given['sslcrl'] ? { crl: readFileSync(given['sslcrl']) } : {}),
  };
  const verified: TlsOptions = {
    ...base,
    rejectUnauthorized: true,
    ...(given['sslrootcert'] ? { ca: readFileSync(given['sslrootcert']) } : {}),
  };
  if (mode === 'allow') return [false, base];
  if (mode === 'prefer') return [base, false];
  if (mode === 'verify-full') return [verified];
  if (mode === 'verify-ca' || given['sslrootcert']) return [{ ...verified, checkServerIdentity: () => undefined }];
  return [base];
}

/**
 * The server has no TLS, or pg_hba.conf wants the other kind of connection. Anything else would
 * fail the other way too.
 */
export function mayTryOtherEncryption(error: unknown): boolean {
  return sqlState(error) === '28000' || (error instanceof Error && error.message.startsWith('The server does not support SSL'));
}
