/**
 * A connection to a source. Of a server outside that may be at several addresses, the one that
 * takes writes is meant, as with target_session_attrs in libpq.
 */
import type pg from 'pg';
import type { Source } from '../../core/effects.ts';
import { endpointsOf } from '../../core/remote.ts';
import { type ConnectOptions, discard } from './sql.ts';

type Connect = (options: ConnectOptions) => Promise<pg.Client>;

/** Where none takes writes, the first that answers. Throws what the last connection threw. */
export async function connectSource(
  connect: Connect,
  source: Pick<Source, 'host' | 'port' | 'remote'>,
  options: Omit<ConnectOptions, 'host' | 'port'>,
): Promise<pg.Client> {
  const endpoints = endpointsOf(source);
  const [only] = endpoints;
  if (endpoints.length === 1 && only !== undefined) return connect({ ...options, ...only });
  let spare: pg.Client | null = null;
  let failure: unknown = null;
  for (const endpoint of endpoints) {
    try {
      const client = await connect({ ...options, ...endpoint, connectTimeoutMs: options.connectTimeoutMs / endpoints.length });
      if (!(await inRecovery(client))) {
        discard(spare);
        return client;
      }
      if (spare === null) spare = client;
      else discard(client);
    } catch (error) {
      failure = error;
    }
  }
  if (spare === null) throw failure;
  return spare;
}

/**
 * A walsender knows SHOW. in_hot_standby is there from 14 on. On 13 transaction_read_only is used
 * instead. It is on in recovery, and also where default_transaction_read_only is. That answer errs
 * towards 'in recovery', and the asker only waits.
 */
export async function inRecovery(client: pg.Client): Promise<boolean> {
  const show = async (name: string) => Object.values((await client.query<Record<string, string>>(`SHOW ${name}`)).rows[0]!)[0] ?? '';
  const version = Number(await show('server_version_num'));
  return (await show(version >= 140_000 ? 'in_hot_standby' : 'transaction_read_only')) === 'on';
}
