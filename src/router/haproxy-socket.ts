import { connect } from 'node:net';
import type { Clock } from '../ports/clock.ts';
import { RegentError } from '../support/errors.ts';
import { type HaproxyServer, type HaproxyState, type RouterCommand, WAITING_ROOM } from './decide.ts';

const LARGEST_ANSWER = 8 * 1024 * 1024;
/** HAProxy takes 16 KiB in one line. */
const SESSIONS_A_LINE = 200;
/** Type of the servers' rows in `show stat` (HAProxy's management guide, 9.3). */
const SERVER_ROWS = 4;

export interface Haproxy {
  /** The servers of the backend. Throws HAPROXY_UNREACHABLE, HAPROXY_NO_BACKEND. */
  state(): Promise<HaproxyState>;
  /**
   * Sends all but `cut` in one line, so that nothing comes in between. False: sessions are left,
   * because some of that server were still being connected; ask again soon. Throws
   * HAPROXY_UNREACHABLE, HAPROXY_REFUSED with HAProxy's words.
   */
  run(commands: readonly RouterCommand[]): Promise<boolean>;
  /** Moves the waiting room. Throws as run() does, and HAPROXY_NO_LIMIT. */
  placeWaitingRoom(host: string, port: number): Promise<void>;
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
  const ask = async (line: string, isFine: (answer: string) => boolean) => {
    const answer = (await askHaproxy(socketPath, line, clock, timeoutMs)).trim();
    if (isFine(answer)) return;
    throw new RegentError('HAPROXY_REFUSED', `HAProxy: ${answer.replace(/\s+/g, ' ')} (to: ${line})`, {
      mend: 'the stats socket needs `level admin`',
    });
  };
  /**
   * A session that has waited in the queue is not among those that HAProxy ends with a server's
   * (seen with 2.6.12): it is ended by itself.
   */
  const endLeft = async (servers: readonly string[]) => {
    const sessions = readSessions(await askHaproxy(socketPath, 'show sess', clock, timeoutMs), backend);
    const left = sessions.filter(({ server, state }) => state === ESTABLISHED && servers.includes(server)).map(({ id }) => id);
    for (let at = 0; at < left.length; at += SESSIONS_A_LINE) {
      const line = left.slice(at, at + SESSIONS_A_LINE).map((id) => `shutdown session ${id}`);
      await ask(line.join('; '), (answer) => answer.split('\n').every((one) => one === '' || /^No such session/.test(one)));
    }
  };
  return {
    state: async () => {
      const rows = parseStat(await askHaproxy(socketPath, `show stat ${backend} ${SERVER_ROWS} -1`, clock, timeoutMs));
      const servers = rows.map(toServer).filter(({ name }) => name !== WAITING_ROOM);
      if (servers.length > 0) return { servers, hasWaitingRoom: servers.length < rows.length && withoutLimit(rows) === null };
      throw new RegentError('HAPROXY_NO_BACKEND', `HAProxy has no backend '${backend}' with servers`, {
        mend: 'set router.primary_backend and router.replica_backend to the backends that hold the members',
      });
    },
    run: async (commands) => {
      const verdicts = commands.filter(({ kind }) => kind !== 'cut');
      if (verdicts.length > 0) {
        await ask(verdicts.map(({ kind, server }) => `set server ${backend}/${server} health ${kind}`).join('; '), isNothing);
      }
      const cuts = commands.filter(({ kind }) => kind === 'cut').map(({ server }) => server);
      if (cuts.length === 0) return true;
      // After the verdicts, so that nobody comes any more.
      const busy = serversInConnect(await askHaproxy(socketPath, 'show sess', clock, timeoutMs), backend);
      const calm = cuts.filter((server) => !busy.has(server));
      if (calm.length > 0) {
        await ask(calm.map((server) => `shutdown sessions server ${backend}/${server}`).join('; '), isNothing);
        await endLeft(calm);
      }
      return calm.length === cuts.length;
    },
    placeWaitingRoom: async (host, port) => {
      const unlimited = withoutLimit(parseStat(await askHaproxy(socketPath, `show stat ${backend} ${SERVER_ROWS} -1`, clock, timeoutMs)));
      if (unlimited !== null) {
        throw new RegentError('HAPROXY_NO_LIMIT', `HAProxy's server ${unlimited} has no maxconn`, {
          mend: 'add maxconn to the servers: without it HAProxy 3 leaves clients in the queue when the server comes up',
        });
      }
      await ask(`set server ${backend}/${WAITING_ROOM} addr ${host} port ${port}`, (answer) =>
        /port (?:changed|.*no need)|no need to change the port/.test(answer),
      );
    },
  };
}

const isNothing = (answer: string) => answer === '';

/** The name of a server without `maxconn`; null when all have it. */
function withoutLimit(rows: ReturnType<typeof parseStat>): string | null {
  return rows.find((row) => !row['slim'])?.['svname'] ?? null;
}

/**
 * Of `show sess`, a line each: the servers of the backend with a session whose server's side is not
 * established. HAProxy 3.0 forgets a client whose session is ended then (seen with 3.0.11: the
 * client gets neither answer nor end until `timeout client`). That side is called `s1` before
 * HAProxy 2.6. Its state is 1 to 7 until it is SC_ST_EST, 8.
 */
export function serversInConnect(text: string, backend: string): ReadonlySet<string> {
  return new Set(readSessions(text, backend).flatMap(({ server, state }) => (state < ESTABLISHED ? [server] : [])));
}

const ESTABLISHED = 8;

/** Those of the backend whose server's side has begun. */
function readSessions(text: string, backend: string): { readonly id: string; readonly server: string; readonly state: number }[] {
  const lines = [...text.matchAll(/^(0x[0-9a-f]+): .*? be=(\S+) srv=(\S+) .*\b(?:scb|s1)=\[([1-8]),/gm)];
  return lines.flatMap(([, id, of, server, state]) => (of === backend ? [{ id: id!, server: server!, state: Number(state) }] : []));
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

/** HAProxy's codes for no connection, or no word in time; `* ` while the next check runs. */
const UNANSWERED = /^(?:\* )?(?:L4TOUT|L4CON|L6TOUT|L7TOUT)$/;

function toServer(row: Readonly<Record<string, string>>): HaproxyServer {
  const status = row['status'] ?? '';
  return {
    name: row['svname'] ?? '',
    up: status.startsWith('UP'),
    // `UP`, `UP 1/3`, `DOWN`, `DOWN 1/2` are verdicts of health checks; MAINT, DRAIN, NOLB and
    // `no check` are not.
    ours: status.startsWith('UP') || status.startsWith('DOWN'),
    sessions: Number(row['scur'] ?? 0),
    silent: UNANSWERED.test(row['check_status'] ?? ''),
    address: row['addr'] || null,
  };
}
