import { connect } from 'node:net';
import type { Clock } from '../ports/clock.ts';
import { RegentError } from '../support/errors.ts';
import type { HaproxyServer, HaproxyState, RouterCommand } from './decide.ts';

const LARGEST_ANSWER = 8 * 1024 * 1024;
/** Types of rows in `show stat` (HAProxy's management guide, 9.3). */
const FRONTEND_ROWS = 1;
const SERVER_ROWS = 4;

export interface HaproxyNames {
  readonly backend: string;
  readonly frontend: string;
}

export interface Haproxy {
  /** What the primary backend and its frontend look like. Throws HAPROXY_UNREACHABLE, HAPROXY_NO_BACKEND. */
  state(names: HaproxyNames): Promise<HaproxyState>;
  /** All of them in one line, so that nothing comes in between. Throws HAPROXY_UNREACHABLE, HAPROXY_REFUSED with HAProxy's words. */
  run(names: HaproxyNames, commands: readonly RouterCommand[]): Promise<void>;
}

/** HAProxy's runtime API over its Unix socket (`stats socket … level admin`), one connection a command line. */
export function createHaproxy(options: { readonly socketPath: string; readonly clock: Clock; readonly timeoutMs: number }): Haproxy {
  const ask = (line: string) => askHaproxy(options.socketPath, line, options.clock, options.timeoutMs);
  return {
    state: async ({ backend, frontend }) => {
      const [servers, frontends] = await Promise.all([
        ask(`show stat ${backend} ${SERVER_ROWS} -1`),
        ask(`show stat ${frontend} ${FRONTEND_ROWS} -1`),
      ]);
      const rows = parseStat(servers);
      if (rows.length === 0) {
        throw new RegentError('HAPROXY_NO_BACKEND', `HAProxy has no backend '${backend}' with servers`, {
          mend: 'set router.primary_backend to the backend that holds the members',
        });
      }
      return { servers: rows.map(toServer), frontendLimit: toLimit(parseStat(frontends)[0]) };
    },
    run: async (names, commands) => {
      const lines: string[] = [];
      for (const command of commands) lines.push(await toLine(names, command, ask));
      const answer = (await ask(lines.join('; '))).trim();
      if (answer === '') return;
      throw new RegentError('HAPROXY_REFUSED', `HAProxy: ${answer.replace(/\s+/g, ' ')} (to: ${lines.join('; ')})`, {
        mend: 'the stats socket needs `level admin`',
      });
    },
  };
}

async function toLine(names: HaproxyNames, command: RouterCommand, ask: (line: string) => Promise<string>): Promise<string> {
  switch (command.kind) {
    case 'up':
    case 'down':
      return `set server ${names.backend}/${command.server} health ${command.kind}`;
    case 'cut':
      return `shutdown sessions server ${names.backend}/${command.server}`;
    case 'hold':
      return `set maxconn frontend ${names.frontend} 0`;
    case 'release':
      return `set maxconn frontend ${names.frontend} ${command.limit ?? (await globalLimit(ask))}`;
  }
}

async function globalLimit(ask: (line: string) => Promise<string>): Promise<number> {
  return Number(/^Maxconn: (\d+)$/m.exec(await ask('show info'))?.[1] ?? 2000);
}

/** Sends one line and returns everything HAProxy says until it hangs up. Throws HAPROXY_UNREACHABLE. */
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

/** The rows of `show stat` (CSV with a header line that starts with `# `), by column name. Anything else has no rows. */
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
    // `UP`, `UP 1/3`, `DOWN`, `DOWN 1/2` are verdicts of health checks; MAINT, DRAIN, NOLB and `no check` are not.
    ours: status.startsWith('UP') || status.startsWith('DOWN'),
    sessions: Number(row['scur'] ?? 0),
  };
}

function toLimit(row: Readonly<Record<string, string>> | undefined): number | null {
  return row?.['slim'] === undefined || row['slim'] === '' ? null : Number(row['slim']);
}
