/**
 * Asks a peer's PostgreSQL where its WAL comes from, with the commands of the replication protocol.
 * The replication user may send those.
 */
import type pg from 'pg';
import type { Source } from '../../core/effects.ts';
import type { SourceHistory } from '../../core/postgres-facts.ts';
import { addressOf } from '../../core/remote.ts';
import type { Settings } from '../../core/settings.ts';
import { parseLsn } from '../../core/units.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import { parseHistory } from './history-file.ts';
import { connectSource, inRecovery } from './source-connection.ts';
import { missingWal, type WalPlace } from './source-wal.ts';
import { connect, discard } from './sql.ts';

export interface SourceAnswer {
  readonly history: SourceHistory;
  /**
   * The source's words when it no longer has the WAL that was asked for; null: it has it. Absent:
   * it was not asked.
   */
  readonly missing?: string | null;
}

/** Throws SOURCE_UNREACHABLE. */
export async function askSourceHistory(settings: Settings, source: Source, options: Bounded): Promise<SourceHistory> {
  return (await askSource(settings, source, options)).history;
}

/** Throws SOURCE_UNREACHABLE. `wants`: WAL that is asked for in addition. */
export async function askSource(
  settings: Settings,
  source: Source,
  options: Bounded & { readonly wants?: WalPlace | null },
): Promise<SourceAnswer> {
  let client: pg.Client | null = null;
  const onAbort = () => discard(client);
  options.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    client = await connectSource(connect, source, {
      database: '',
      credentials: settings.postgresql.replication,
      applicationName: `${settings.local.name} history`,
      connectTimeoutMs: options.timeoutMs,
      queryTimeoutMs: options.timeoutMs,
      replication: true,
    });
    const history = await ask(client, source.name);
    return options.wants ? { history, missing: await missingWal(client, options.wants) } : { history };
  } catch (error) {
    throw new RegentError('SOURCE_UNREACHABLE', `${source.name} did not tell its timeline history: ${ensureError(error).message}`, {
      policy: 'transient',
      mend: `check that ${addressOf(source)} is reachable and that its pg_hba.conf lets the replication user in`,
      cause: error,
    });
  } finally {
    options.signal?.removeEventListener('abort', onAbort);
    discard(client);
  }
}

/**
 * Recovery is asked before and after. The answers of a server that is just being promoted fit
 * together only if nothing has changed.
 */
async function ask(client: pg.Client, name: string): Promise<SourceHistory> {
  const recoveryBefore = await inRecovery(client);
  const identity = (await client.query<{ systemid: string; timeline: string; xlogpos: string }>('IDENTIFY_SYSTEM')).rows[0]!;
  const timeline = Number(identity.timeline);
  const content = timeline > 1 ? (await client.query<{ content: string }>(`TIMELINE_HISTORY ${timeline}`)).rows[0]!.content : '';
  return {
    name,
    systemIdentifier: identity.systemid,
    timeline,
    lsn: parseLsn(identity.xlogpos),
    history: parseHistory(content),
    inRecovery: recoveryBefore || (await inRecovery(client)),
  };
}
