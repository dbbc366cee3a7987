/** The few things asked of a PostgreSQL directly. */
import { join } from 'node:path';
import pg from 'pg';
import { readIfThere } from '../src/demo/files.ts';
import { SUPERUSER } from '../src/demo/node-config.ts';

const CONNECT_TIMEOUT_MS = 1000;
const QUERY_TIMEOUT_MS = 20_000;

/** One statement on a connection of its own. */
export async function query<Row extends pg.QueryResultRow>(port: number, text: string): Promise<Row[]> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: SUPERUSER.username,
    password: SUPERUSER.password,
    database: 'postgres',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query<Row>(text)).rows;
  } finally {
    void client.end().catch(() => undefined);
  }
}

/** Line 1 of postmaster.pid; null when there is none. */
export async function postmasterPid(dataDir: string): Promise<number | null> {
  const pid = Number.parseInt((await readIfThere(join(dataDir, 'postmaster.pid'))) ?? '', 10);
  return Number.isInteger(pid) && pid > 0 ? pid : null;
}
