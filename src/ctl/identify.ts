/** Asks a PostgreSQL server which cluster it belongs to, as a standby does before it streams. */
import { connect, discard } from '../adapters/postgres/sql.ts';
import type { Credentials } from '../core/settings.ts';
import { ensureError } from '../support/errors.ts';
import type { Address } from './reach.ts';

export type Identity = { readonly systemIdentifier: string } | { readonly unknown: string };

/** Never rejects. `unknown`: why it does not tell. */
export type Identify = (address: Address, credentials: Credentials, timeoutMs: number) => Promise<Identity>;

export const identifyServer: Identify = async ({ host, port }, credentials, timeoutMs) => {
  try {
    const client = await connect({
      host,
      port,
      database: 'postgres',
      credentials,
      applicationName: 'Patroni ctl',
      connectTimeoutMs: timeoutMs,
      queryTimeoutMs: timeoutMs,
      replication: true,
    });
    try {
      const { rows } = await client.query<{ systemid: string }>('IDENTIFY_SYSTEM');
      return { systemIdentifier: String(rows[0]?.systemid) };
    } finally {
      discard(client);
    }
  } catch (error) {
    return { unknown: ensureError(error).message };
  }
};
