/**
 * Why this node does not get its WAL: what asking its source told, said once in the log for every new reason, and carried by the facts until it streams.
 * PostgreSQL's walreceiver uses the same address, user and password, and tells its own log only.
 */
import type { Source } from '../../core/effects.ts';
import type { PostgresFacts } from '../../core/postgres-facts.ts';
import type { Lsn } from '../../core/units.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import { ensureError } from '../../support/errors.ts';
import { isTimeout, sqlState, systemCode } from './sql.ts';

/** A walreceiver tries every 5 s (wal_retrieve_retry_interval); what has been replayed from local WAL has moved by then. */
const STALLED_MS = 30_000;

export interface Trouble {
  readonly source: Source;
  readonly reason: string;
}

export class SourceTrouble {
  readonly #clock: Clock;
  readonly #log: Log;
  #trouble: Trouble | null = null;
  #told = '';
  #stands: { readonly replayLsn: Lsn | null; readonly sinceMs: number } | null = null;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  failed(source: Source, error: unknown, username: string): void {
    this.#trouble = { source, reason: reasonOf(source, error, username) };
  }

  answered(): void {
    this.#trouble = null;
  }

  /** `follows`: whom the files were last written to follow; null: not known, or nobody. */
  complete(facts: PostgresFacts, follows: Source | null): PostgresFacts {
    const sql = facts.state === 'running' ? facts.sql : null;
    if (sql?.receiver?.status === 'streaming' || sql?.inRecovery === false) {
      if (this.#told !== '' && sql.inRecovery) this.#log.info('streaming again');
      this.#forget();
      return facts;
    }
    // What is left to replay, and an archive, may take their time; a server that should stream and stands still does not get on by itself.
    const meantToStream = sql !== null && sql.primaryConninfo !== '' && !sql.replayPaused;
    const stalled = meantToStream && this.#standsStill(sql.replayLsn);
    if (!meantToStream) this.#stands = null;
    if (this.#trouble === null && stalled && follows !== null)
      return this.#tell(facts, streaming(follows, sql.replaying === true ? REPLAYS_FIRST : UNKNOWN));
    if (this.#trouble === null) return facts;
    const { source, reason } = this.#trouble;
    const isSource = meantToStream && (follows === null || follows.name === source.name);
    return this.#tell(facts, isSource ? streaming(source, reason) : `waiting for ${source.name} to answer: ${reason}`);
  }

  #tell(facts: PostgresFacts, text: string): PostgresFacts {
    if (text !== this.#told) this.#log.warning(text);
    this.#told = text;
    return { ...facts, sourceTrouble: text };
  }

  #standsStill(replayLsn: Lsn | null): boolean {
    const now = this.#clock.monotonicMs();
    if (this.#stands === null || this.#stands.replayLsn !== replayLsn) this.#stands = { replayLsn, sinceMs: now };
    return now - this.#stands.sinceMs >= STALLED_MS;
  }

  #forget(): void {
    this.#trouble = null;
    this.#stands = null;
    this.#told = '';
  }
}

const UNKNOWN = "it is not out of reach; PostgreSQL's own log on this node tells why";
/** A standby asks for WAL once there is nothing left to replay on its disk. */
const REPLAYS_FIRST =
  'it replays what it has first, and does not get on with that: recovery_min_apply_delay, a lock or a query may hold it up';
const streaming = (source: Source, reason: string) => `not streaming from ${source.name}: ${reason}`;

/** In words for the operator, with what to look at. SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html */
export function reasonOf(source: Source, error: unknown, username: string): string {
  const where = `${source.host}:${source.port}`;
  if (isTimeout(error)) return `${where} does not answer`;
  switch (sqlState(error)) {
    case '28P01':
      return `password authentication failed for user ${username}; look at authentication.replication`;
    case '28000':
      return `${rootMessage(error)}; look at pg_hba and authentication.replication`;
    case '53300':
      return `${rootMessage(error)}; look at max_wal_senders and max_connections`;
    default:
  }
  switch (systemCode(error)) {
    case 'ECONNREFUSED':
      return `${where} refuses the connection`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the name ${source.host} is not known`;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `there is no way to ${where}`;
    default:
      return `${where}: ${rootMessage(error)}`;
  }
}

/** The words of who refused, without those of who passed them on. */
function rootMessage(error: unknown): string {
  let at = ensureError(error);
  while (at.cause instanceof Error) at = at.cause;
  return at.message;
}
