/**
 * Asks a source for WAL as this node's walreceiver does, and keeps none. So the agent learns
 * whether the source still has the WAL that this node needs. Only the source knows, and this answer
 * of PostgreSQL has a code of its own, in every language.
 */
import type pg from 'pg';
import { formatLsn, type Lsn, type Timeline, toLsn } from '../../core/units.ts';
import { ensureError } from '../../support/errors.ts';
import { sqlState } from './sql.ts';

/** What a standby has, and needs the continuation of. */
export interface WalPlace {
  readonly timeline: Timeline;
  readonly lsn: Lsn;
  readonly segmentBytes: number;
}

/**
 * errcode_for_file_access() of a segment that is not there: src/backend/replication/walsender.c of
 * PostgreSQL 13 to 18.
 */
const UNDEFINED_FILE = '58P01';
/** A walsender that has the WAL sends some at once, and one that lacks it says so at once. */
const ANSWER_MS = 1000;

/**
 * In the words of the source; null: it has the WAL, or did not say. No other command can follow on
 * this connection. A walreceiver begins at the beginning of a segment, and asks for the timeline it
 * is on.
 */
export async function missingWal(client: pg.Client, { timeline, lsn, segmentBytes }: WalPlace): Promise<string | null> {
  const from = toLsn(lsn - (lsn % BigInt(segmentBytes)));
  const { connection } = client as unknown as { readonly connection: NodeJS.EventEmitter };
  let timer: NodeJS.Timeout | undefined;
  const sent = new Promise<null>((resolve) => {
    connection.once('copyData', () => resolve(null));
    timer = setTimeout(() => resolve(null), ANSWER_MS);
  });
  const ended = client.query(`START_REPLICATION PHYSICAL ${formatLsn(from)} TIMELINE ${timeline}`).then(
    () => null,
    (error: unknown) => (sqlState(error) === UNDEFINED_FILE ? ensureError(error).message : null),
  );
  try {
    return await Promise.race([sent, ended]);
  } finally {
    clearTimeout(timer);
  }
}
