/**
 * The ways into the local server, tried in turn as libpq's programs do. A superuser without a
 * password over TCP may come in by the socket, where the operating system vouches for it (peer
 * authentication). The server that answers must be the one of our data directory: another one may
 * listen on the expected address.
 */
import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import type pg from 'pg';
import type { Settings } from '../../core/settings.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import { readPidFile } from './pid-file.ts';
import { type Door, refusalMend } from './refusal.ts';
import { type ConnectOptions, connect, discard, sqlState } from './sql.ts';

export type DoorOptions = Omit<ConnectOptions, 'host' | 'port' | 'database' | 'credentials'>;

/**
 * The door that last let the agent in is tried first, so that not every connection leaves a refusal
 * in PostgreSQL's log. New settings may open the other one.
 */
const opened = new WeakMap<Settings, string>();

/**
 * What the running server wrote into its pid file comes before what the settings would have it
 * listen on. The preferred one first.
 */
export function localDoors(settings: Settings): readonly [Door, ...Door[]] {
  const { dataDir, useUnixSocket, port, listenAddresses } = settings.postgresql;
  const file = readPidFile(dataDir);
  const first = (file ? (file.listenHost ?? '') : listenAddresses).split(',')[0]!.trim();
  const named = file?.socketDir ?? (settings.parameters['unix_socket_directories'] ?? '').split(',')[0]!.trim();
  const at = file?.port ?? port;
  const socketDir = named === '' || named.startsWith('@') ? null : resolve(dataDir, named);
  const socket = socketDir === null ? null : { host: socketDir, port: at };
  if (first === '' && socket !== null) return [socket];
  const tcp = { host: addressOf(first), port: at };
  if (socket === null) return [tcp];
  return useUnixSocket ? [socket, tcp] : [tcp, socket];
}

function addressOf(listens: string): string {
  if (listens === '' || listens === '*' || listens === '0.0.0.0') return '127.0.0.1';
  return listens === '::' ? '::1' : listens;
}

/**
 * A connection of the superuser to the local server. Throws what `connect` throws. Throws
 * PG_REFUSED when the server refused at every door, with its words and what would let the agent in.
 * Throws PG_ANOTHER_SERVER when the server that answers has another data directory.
 */
export async function enter(settings: Settings, options: DoorOptions): Promise<pg.Client> {
  const deadline = performance.now() + options.connectTimeoutMs;
  const { database, superuser } = settings.postgresql;
  const key = ({ host, port }: Door) => `${host}:${port}`;
  const doors = [...localDoors(settings)].sort((a, b) => Number(key(b) === opened.get(settings)) - Number(key(a) === opened.get(settings)));
  const refusals: { readonly door: Door; readonly error: Error }[] = [];
  for (const door of doors) {
    const leftMs = Math.max(1, deadline - performance.now());
    try {
      const client = await connect({ ...options, ...door, database, credentials: superuser, connectTimeoutMs: leftMs });
      await refuseAnother(client, settings, door, Math.max(1, deadline - performance.now()));
      opened.set(settings, key(door));
      return client;
    } catch (error) {
      if (!isRefusal(error)) {
        if (refusals.length === 0) throw error;
        break;
      }
      refusals.push({ door, error: ensureError(error) });
    }
  }
  const said = refusals.map(({ error }) => error.message).join('; ');
  throw new RegentError('PG_REFUSED', said, {
    policy: 'transient',
    mend: refusalMend(settings, refusals),
    cause: refusals[0]?.error,
  });
}

/** It refused this user, and may accept the same user at another door. */
function isRefusal(error: unknown): boolean {
  return sqlState(error)?.startsWith('28') === true || /password must be a (non-empty )?string/.test(ensureError(error).message);
}

/**
 * A role that may not see the setting gets null: it is not the superuser that was configured. What
 * it may not do will show that.
 */
async function refuseAnother(client: pg.Client, settings: Settings, door: Door, timeoutMs: number): Promise<void> {
  try {
    const text = `SELECT setting FROM pg_settings WHERE name = 'data_directory'`;
    const { rows } = await client.query<{ setting: string | null }>({ text, query_timeout: timeoutMs } as pg.QueryConfig);
    const theirs = rows[0]?.setting ?? null;
    if (theirs === null || isSamePath(theirs, settings.postgresql.dataDir)) return;
    throw new RegentError(
      'PG_ANOTHER_SERVER',
      `what answers at ${door.host}:${door.port} is another PostgreSQL, of the data directory ${theirs}`,
      { policy: 'transient', mend: 'correct postgresql.listen or postgresql.data_dir, or end that server' },
    );
  } catch (error) {
    discard(client);
    throw error;
  }
}

export function isSamePath(one: string, other: string): boolean {
  return realOrSame(one) === realOrSame(other);
}

export function realOrSame(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}
