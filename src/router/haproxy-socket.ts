import { connect } from 'node:net';
import type { Clock } from '../ports/clock.ts';
import { RegentError } from '../support/errors.ts';
import type { HaproxyServer, HaproxyState, RouterCommand } from './decide.ts';

const LARGEST_ANSWER = 8 * 1024 * 1024;
/** Type of the servers' rows in `show stat` (HAProxy's management guide, 9.3). */
const SERVER_ROWS = 4;

export interface Haproxy {
  /** The servers of the backend. Throws HAPROXY_UNREACHABLE, HAPROXY_NO_BACKEND. */
  state(): Promise<HaproxyState>;
  /**
   * Sends all of them in one line, so that nothing comes in between. Throws HAPROXY_UNREACHABLE,
   * HAPROXY_REFUSED with HAProxy's words.
   */
  run(commands: readonly RouterCommand[]): Promise<void>;
}

export interface HaproxyOptions {
  readonly socketPath: string;
  readonly backend: string;
  readonly clock: Clock;
  readonly timeoutMs: number;
}

/**
 * HAProxy's runtime API over its Unix socket (`stats socket … level admin`), one connection for
 * each command line.
 */
export function createHaproxy({ socketPath, backend, clock, timeoutMs }: HaproxyOptions): Haproxy {
  return {
    state: async () => {
      const rows = parseStat(await askHaproxy(socketPath, `show stat ${backend} ${SERVER_ROWS} -1`, clock, timeoutMs));
      if (rows.length > 0) return rows.map(toServer);
      throw new RegentError('HAPROXY_NO_BACKEND', `HAProxy has no backend '${backend}' with servers`, {
        mend: 'set router.primary_backend to the backend that holds the members',
      });
    },
    run: async (commands) => {
      const line = commands.map((command) => toLine(backend, command)).join('; ');
      const answer = (await askHaproxy(socketPath, line, clock, timeoutMs)).trim();
      if (answer === '') return;
      throw new RegentError('HAPROXY_REFUSED', `HAProxy: ${answer.replace(/\s+/g, ' ')} (to: ${line})`, {
        mend: 'the stats socket needs `level admin`',
      });
    },
  };
}

function toLine(backend: string, { kind, server }: RouterCommand): string {
  return kind === 'cut' ? `shutdown sessions server ${backend}/${server}` : `set server ${backend}/${server} health ${kind}`;
}

/**
 * Sends one line and returns everything HAProxy sends until it closes the connection. Throws
 * HAPROXY_UNREACHABLE.
 */
export function askHaproxy(socketPath: string, line: string, clock: Clock, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const socket = connect({ path: socketPath });
    const cancel = clock.timer(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    socket.once('connect', () => socket.write(`${line}\n`));
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > LARGEST_ANSWER) socket.destroy(new Error('its answer is too long'));
    });
    socket.once('end', () => {
      cancel();
      socket.destroy();
      resolve(Buffer.concat(chunks).toString('utf8'));
    });
    socket.once('error', (error) => {
      cancel();
      const mend = 'check that HAProxy runs and that router.haproxy_socket is its `stats socket … level admin`, writable for this user';
      reject(
        new RegentError('HAPROXY_UNREACHABLE', `HAProxy at ${socketPath}: ${error.message}`, { mend, cause: error, policy: 'transient' }),
      );
    });
  });
}

/**
 * The rows of `show stat` (CSV with a header line that starts with `# `), by column name. Any other
 * text has no rows.
 */
export function parseStat(text: string): ReadonlyArray<Readonly<Record<string, string>>> {
  const lines = text.split('\n').filter((line) => line !== '');
  const header = lines[0]?.startsWith('# ') ? splitCsv(lines[0].slice(2)) : null;
  if (!header) return [];
  return lines.slice(1).map((line) => {
    const values = splitCsv(line);
    return Object.fromEntries(header.map((name, index) => [name, values[index] ?? '']));
  });
}

function splitCsv(line: string): string[] {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map((match) => match[1]?.replaceAll('""', '"') ?? match[2] ?? '');
}

function toServer(row: Readonly<Record<string, string>>): HaproxyServer {
  const status = row['status'] ?? '';
  return {
    name: row['svname'] ?? '',
    up: status.startsWith('UP'),
    // `UP`, `UP 1/3`, `DOWN`, `DOWN 1/2` are verdicts of health checks; MAINT, DRAIN, NOLB and
    // `no check` are not.
    ours: status.startsWith('UP') || status.startsWith('DOWN'),
    sessions: Number(row['scur'] ?? 0),
  };
}
