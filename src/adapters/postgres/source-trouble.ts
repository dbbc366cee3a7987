/**
 * Why this node does not get its WAL. The reason comes from asking its source; it is logged once
 * for every new reason, and is in the facts until the node streams. PostgreSQL's walreceiver uses
 * the same address, user and password, and tells its own log only.
 */
import type { Source } from '../../core/effects.ts';
import { describeOutsideWalGone, describeWalGone, type PostgresFacts, type SqlFacts } from '../../core/postgres-facts.ts';
import { addressOf } from '../../core/remote.ts';
import { type Lsn, maxLsn } from '../../core/units.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import { ensureError } from '../../support/errors.ts';
import { REMOVED } from './server-log.ts';
import type { WalPlace } from './source-wal.ts';
import { isTimeout, sqlState, systemCode } from './sql.ts';

/**
 * A new source, a restart of the old one: WAL comes again within this, mostly, and nobody has to be
 * asked.
 */
const ASK_AFTER_MS = 1000;
const ASK_EVERY_MS = 30_000;
/** PostgreSQL has failed several times by then, and told its log why. */
const TELL_AFTER_MS = 2000;
/** Without a reason that anybody knows. */
const UNKNOWN_AFTER_MS = 10_000;
/**
 * Long for a query or a lock in the way of what is being replayed, short for an operator who
 * wonders.
 */
const REPLAY_MS = 30_000;
/** After one reason for so long, trying again at once is useless. */
const IN_VAIN_MS = 10_000;
/** One that fails lives for some milliseconds. */
const STEADY_MS = 300;

export interface Trouble {
  readonly source: Source;
  readonly reason: string;
}

/** The cluster and member of this agent, as regentctl wants them. */
export interface Named {
  readonly scope: string;
  readonly name: string;
}

export class SourceTrouble {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #named: () => Named;
  #trouble: Trouble | null = null;
  /** The source's words when it no longer has the WAL which this node needs. */
  #gone: { readonly source: Source; readonly words: string; readonly replayLsn: Lsn | null } | null = null;
  #told: string | null = null;
  /** The reason for which PostgreSQL has been trying again and again. */
  #vain: { readonly text: string; readonly sinceMs: number } | null = null;
  #stands: { readonly replayLsn: Lsn | null; readonly sinceMs: number } | null = null;
  #receiver: { readonly pid: number; readonly sinceMs: number } | null = null;
  #facts: SqlFacts | null = null;
  #askedAtMs: number | null = null;

  constructor(clock: Clock, log: Log, named: () => Named) {
    this.#clock = clock;
    this.#log = log;
    this.#named = named;
  }

  failed(source: Source, error: unknown, username: string): void {
    this.#trouble = { source, reason: reasonOf(source, error, username) };
  }

  /**
   * `missing`: the source does not have the WAL that it was asked for (`wants`), in its words;
   * null: it has; undefined: it was not asked.
   */
  answered(source: Source, missing?: string | null): void {
    this.#trouble = null;
    if (missing === undefined) return;
    this.#gone = missing === null ? null : { source, words: missing, replayLsn: this.#facts?.replayLsn ?? null };
  }

  /**
   * WAL that the source may be asked for now: what this standby, which nobody sends any, needs
   * next. Each time leaves an error in the source's log.
   */
  wants(): Omit<WalPlace, 'segmentBytes'> | null {
    const sql = this.#facts;
    const now = this.#clock.monotonicMs();
    if (sql === null || sql.replaying === true || !this.#isStalledFor(ASK_AFTER_MS)) return null;
    if (this.#askedAtMs !== null && now - this.#askedAtMs < ASK_EVERY_MS) return null;
    const lsn = maxLsn(sql.receiveLsn, sql.replayLsn);
    if (lsn === null || sql.timeline === null) return null;
    this.#askedAtMs = now;
    return { timeline: sql.timeline, lsn };
  }

  /** begins: WAL does not come for the first time. stalls: PostgreSQL's log may tell why. */
  phase(facts: PostgresFacts): 'begins' | 'stalls' | 'other' {
    const sql = facts.state === 'running' ? facts.sql : null;
    if (sql === null || !meantToStream(sql) || this.#streams(sql)) return 'other';
    if (this.#stands === null) return 'begins';
    return sql.replaying !== true && this.#trouble === null && this.#isStalledFor(TELL_AFTER_MS) ? 'stalls' : 'other';
  }

  /**
   * `follows`: the source that the files were last written to follow; null: not known, or nobody.
   * `words`: why PostgreSQL fails, as its log has it.
   */
  complete(facts: PostgresFacts, follows: Source | null, words: string | null = null): PostgresFacts {
    const sql = facts.state === 'running' ? facts.sql : null;
    this.#see(sql);
    if (sql?.inRecovery === false || (sql !== null && this.#streams(sql))) {
      if (this.#told !== null && sql.inRecovery) this.#log.info('streaming again');
      this.#forget();
      return facts;
    }
    // WAL that is left to replay, and an archive, may take their time. A server that should stream
    // and stands still does not recover by itself.
    const meant = sql !== null && meantToStream(sql);
    if (meant) this.#stand(sql.replayLsn);
    else this.#stands = null;
    const reason = meant ? this.#reason(sql, follows, words) : null;
    if (reason === null) this.#vain = null;
    if (reason === null && this.#trouble === null) return facts;
    const text = reason?.text ?? `waiting for ${this.#trouble?.source.name} to answer: ${this.#trouble?.reason}`;
    const told = this.#tell(withoutFlicker(facts), text);
    const tries = meant && sql.replaying !== true && reason !== null;
    return { ...told, ...reason?.facts, ...(tries && this.#isInVain(text) ? { retriesInVain: true as const } : {}) };
  }

  #reason(sql: SqlFacts, follows: Source | null, words: string | null): { text: string; facts?: { walGone: true } } | null {
    const isSource = (source: Source) => follows === null || follows.name === source.name;
    const gone = this.#goneFrom(sql, follows, words);
    if (gone !== null) {
      const told = gone.source.remote === undefined ? describeWalGone(this.#named()) : describeOutsideWalGone(this.#named());
      return { text: streaming(gone.source, `${told} (${gone.words})`), facts: { walGone: true } };
    }
    if (this.#trouble !== null)
      return isSource(this.#trouble.source) ? { text: streaming(this.#trouble.source, this.#trouble.reason) } : null;
    if (follows === null) return null;
    if (sql.replaying === true) return this.#isStalledFor(REPLAY_MS) ? { text: streaming(follows, REPLAYS_FIRST) } : null;
    if (words !== null && this.#isStalledFor(TELL_AFTER_MS)) return { text: streaming(follows, `PostgreSQL says: ${words}`) };
    return this.#isStalledFor(UNKNOWN_AFTER_MS) ? { text: streaming(follows, UNKNOWN) } : null;
  }

  /** An archive may still have it, and bring it in its own time. */
  #goneFrom(sql: SqlFacts, follows: Source | null, words: string | null): { source: Source; words: string } | null {
    if (!this.#isStalledFor(sql.restoreCommand === '' ? 0 : UNKNOWN_AFTER_MS)) return null;
    const gone = this.#gone;
    if (gone !== null && (follows === null || follows.name === gone.source.name) && gone.replayLsn === sql.replayLsn) return gone;
    const said = follows === null ? null : (REMOVED.exec(words ?? '')?.[0] ?? null);
    return follows === null || said === null ? null : { source: follows, words: said };
  }

  #tell(facts: PostgresFacts, text: string): PostgresFacts {
    if (text !== this.#told) this.#log.warning(text);
    this.#told = text;
    return { ...facts, sourceTrouble: text };
  }

  #isInVain(text: string): boolean {
    const now = this.#clock.monotonicMs();
    if (this.#vain?.text !== text) this.#vain = { text, sinceMs: now };
    return now - this.#vain.sinceMs >= IN_VAIN_MS;
  }

  #see(sql: SqlFacts | null): void {
    const pid = sql?.receiver?.pid;
    this.#facts = sql;
    if (pid === undefined) this.#receiver = null;
    else if (pid !== this.#receiver?.pid) this.#receiver = { pid, sinceMs: this.#clock.monotonicMs() };
  }

  /**
   * A walreceiver that is sent away says that it streams until it is told; so in trouble only one
   * is believed that stays.
   */
  #streams({ receiver }: SqlFacts): boolean {
    if (receiver?.status !== 'streaming') return false;
    if (this.#told === null || receiver.pid === undefined) return true;
    return receiver.pid === this.#receiver?.pid && this.#clock.monotonicMs() - this.#receiver.sinceMs >= STEADY_MS;
  }

  #stand(replayLsn: Lsn | null): void {
    if (this.#stands === null || this.#stands.replayLsn !== replayLsn) this.#stands = { replayLsn, sinceMs: this.#clock.monotonicMs() };
  }

  #isStalledFor(ms: number): boolean {
    return this.#stands !== null && this.#clock.monotonicMs() - this.#stands.sinceMs >= ms;
  }

  #forget(): void {
    this.#trouble = null;
    this.#gone = null;
    this.#stands = null;
    this.#told = null;
    this.#vain = null;
    this.#askedAtMs = null;
  }
}

const meantToStream = (sql: SqlFacts) => sql.inRecovery && sql.primaryConninfo !== '' && !sql.replayPaused;

/** Shows others the same state. */
function withoutFlicker(facts: PostgresFacts): PostgresFacts {
  const receiver = facts.sql?.receiver;
  if (facts.sql === null || receiver?.status !== 'streaming') return facts;
  return { ...facts, sql: { ...facts.sql, receiver: { ...receiver, status: 'starting' } } };
}

const UNKNOWN = "it is not out of reach; PostgreSQL's own log on this node tells why";
/** A standby asks for WAL once there is nothing left to replay on its disk. */
const REPLAYS_FIRST =
  'it must replay the WAL it has first, and that does not advance: recovery_min_apply_delay, a lock or a query may hold it up';
const streaming = (source: Source, reason: string) => `not streaming from ${source.name}: ${reason}`;

/**
 * In words for the operator, with what to look at. SQLSTATEs:
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function reasonOf(source: Source, error: unknown, username: string): string {
  const where = addressOf(source);
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

/** The words of the server that refused, without those that passed them on. */
function rootMessage(error: unknown): string {
  let at = ensureError(error);
  while (at.cause instanceof Error) at = at.cause;
  return at.message;
}
