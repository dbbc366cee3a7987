/**
 * The persistent connections to the local server: one through which its facts are read, and a spare
 * one for what needs SQL beside them. What keeps a promise must not need a new connection, which a
 * changed password, pg_hba.conf or a lack of free connections would refuse.
 */
import type pg from 'pg';
import type { Settings } from '../../core/settings.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { RegentError } from '../../support/errors.ts';
import { enter, localDoors } from './doors.ts';
import { type FactsRow, factsQuery, IDENTITY_QUERY, type IdentityRow } from './facts-query.ts';
import { type Door, refusalText } from './refusal.ts';
import { discard, isTimeout, isTurnedAway, sqlState } from './sql.ts';

/**
 * An open connection proves that the server answers, not that it lets the agent in again. A
 * postmaster that can no longer fork answers on old connections only. So a new one is tried this
 * often, and at once when the server has read its files again.
 */
const RENEW_AFTER_MS = 15_000;
/** Used while it is refused, so that the end of that is seen soon. */
const TRY_AGAIN_MS = 5000;
/** On the server's side; the client's own deadline is the caller's. */
const STATEMENT_TIMEOUT_MS = 2000;

/** Where the local server is reached first; see `enter`. */
export function localEndpoint(settings: Settings): Door {
  return localDoors(settings)[0];
}

/**
 * Opens a connection of the superuser to the local server, for one purpose. Commits on it wait for
 * no standby. The caller discards it.
 */
export function connectLocal(
  settings: Settings,
  options: { readonly applicationName: string; readonly connectTimeoutMs: number; readonly queryTimeoutMs: number },
): Promise<pg.Client> {
  return enter(settings, { ...options, settings: { synchronous_commit: 'local' } });
}

interface Line {
  readonly client: pg.Client;
  readonly identity: IdentityRow;
  readonly sinceMs: number;
}

export interface Use extends Bounded {
  readonly applicationName: string;
  /**
   * It may keep its connection busy for long (a checkpoint), so the spare one is taken only when no
   * other can be opened.
   */
  readonly long?: boolean;
}

export class Heartbeat {
  readonly #clock: Clock;
  readonly #onConnection: (stands: boolean) => void;
  #line: Line | null = null;
  #dead = false;
  #spare: Line | null = null;
  /** The spare one that somebody works on. */
  #busy: Line | null = null;
  #triedAtMs = Number.NEGATIVE_INFINITY;
  /** conf_load_time when a new connection was last tried. */
  #triedUnder: string | null = null;
  #loadedAt: string | null = null;
  #turnedAway: string | null = null;

  constructor(clock: Clock, onConnection: (stands: boolean) => void) {
    this.#clock = clock;
    this.#onConnection = onConnection;
  }

  get connected(): boolean {
    return this.#line !== null && !this.#dead;
  }

  /**
   * Why the server did not let the agent in when a new connection was last tried, and what would;
   * null: it did.
   */
  get lockedOut(): string | null {
    return this.#turnedAway;
  }

  /**
   * Throws what `connect` and pg throw; after that the connection is gone, and the next call makes
   * a new one. A connection that turns out to be dead before the deadline is replaced once: it says
   * only that it was the old server's.
   */
  async facts(settings: Settings, timeoutMs: number): Promise<{ readonly row: FactsRow; readonly identity: IdentityRow }> {
    const deadline = this.#clock.monotonicMs() + timeoutMs;
    const hadLine = this.#line !== null;
    try {
      return await this.#ask(settings, deadline);
    } catch (error) {
      this.#drop();
      if (!hadLine || isTimeout(error)) throw error;
    }
    try {
      return await this.#ask(settings, deadline);
    } catch (error) {
      this.#drop();
      throw error;
    }
  }

  /** Connects if need be. Throws as `facts`. */
  async open(settings: Settings, timeoutMs: number): Promise<void> {
    if (!this.connected) await this.#connect(settings, timeoutMs);
  }

  /** Runs a statement on the open connection, beside the facts. */
  async query<Row extends pg.QueryResultRow>(text: string, values: unknown[], timeoutMs: number): Promise<Row[]> {
    if (!this.#line) return [];
    try {
      return (await this.#line.client.query<Row>({ text, values, query_timeout: timeoutMs } as pg.QueryConfig)).rows;
    } catch (error) {
      this.#drop();
      throw error;
    }
  }

  /**
   * Runs statements on a connection that is open, or on a new one where none is free. Uses the
   * facts' own connection where none can be opened. Throws what `enter` throws, what the work
   * throws, SQL_TIMEOUT, PG_ABORTED.
   */
  async use<T>(settings: Settings, options: Use, work: (client: pg.Client) => Promise<T>): Promise<T> {
    if (options.signal?.aborted) throw calledOff(options);
    const spare = options.long ? null : this.#takeSpare();
    if (spare !== null) return this.#onSpare(spare, options, work);
    const { applicationName, timeoutMs } = options;
    let client: pg.Client;
    try {
      client = await connectLocal(settings, { applicationName, connectTimeoutMs: timeoutMs, queryTimeoutMs: timeoutMs });
    } catch (error) {
      if (!isTurnedAway(error)) throw error;
      this.#tried(error);
      const open = this.#takeSpare();
      if (open !== null) return this.#onSpare(open, options, work);
      if (options.long || this.#line === null || this.#dead) throw error;
      return this.#onFacts(this.#line.client, options, work);
    }
    this.#turnedAway = null;
    try {
      return await this.#within(client, options, () => work(client));
    } finally {
      discard(client);
    }
  }

  /** The server ends, or is another one now. */
  reset(): void {
    this.#drop();
    discard(this.#spare?.client ?? null);
    this.#spare = null;
    this.#turnedAway = null;
    this.#triedAtMs = Number.NEGATIVE_INFINITY;
  }

  #drop(): void {
    if (this.#line === null) return;
    discard(this.#line.client);
    this.#line = null;
    this.#dead = false;
    this.#onConnection(false);
  }

  async #ask(settings: Settings, deadline: number): Promise<{ row: FactsRow; identity: IdentityRow }> {
    const leftMs = () => Math.max(1, deadline - this.#clock.monotonicMs());
    if (this.#dead) this.#drop();
    if (this.#line === null) await this.#connect(settings, leftMs());
    else if (this.#isToRenew()) await this.#renew(settings, leftMs());
    const { client, identity } = this.#line!;
    const text = factsQuery(identity.server_version);
    const result = await client.query<FactsRow>({ name: 'facts', text, query_timeout: leftMs() } as pg.QueryConfig);
    const row = result.rows[0]!;
    this.#loadedAt = row.conf_load_time;
    this.#triedUnder ??= this.#loadedAt;
    return { row, identity };
  }

  #isToRenew(): boolean {
    const sinceMs = this.#clock.monotonicMs() - this.#triedAtMs;
    if (this.#loadedAt !== this.#triedUnder) return true;
    if (this.#turnedAway !== null) return sinceMs > TRY_AGAIN_MS;
    return this.#spare === null ? sinceMs > TRY_AGAIN_MS || this.#triedAtMs === this.#line?.sinceMs : sinceMs > RENEW_AFTER_MS;
  }

  /** A connection for the facts: a new one, or the spare one where the server lets nobody in. */
  async #connect(settings: Settings, timeoutMs: number): Promise<void> {
    try {
      this.#stand(await this.#establish(settings, timeoutMs));
    } catch (error) {
      const spare = isTurnedAway(error) ? this.#takeSpare() : null;
      if (spare === null) throw error;
      this.#busy = null;
      this.#spare = null;
      try {
        await spare.client.query({ text: 'RESET statement_timeout', query_timeout: timeoutMs } as pg.QueryConfig);
      } catch (failure) {
        discard(spare.client);
        throw failure;
      }
      this.#stand(spare);
    }
  }

  /**
   * The one before becomes the spare. Refused for a reason of its own (too many connections, a
   * password changed), the old one still serves.
   */
  async #renew(settings: Settings, timeoutMs: number): Promise<void> {
    const old = this.#line;
    let line: Line;
    try {
      line = await this.#establish(settings, timeoutMs);
    } catch (error) {
      if (isTimeout(error) || old === null) throw error;
      return;
    }
    // It may have ended in the meantime, and then the spare one is the better of the two.
    const oldServes = old !== null && this.#line === old && !this.#dead;
    this.#stand(line);
    if (!oldServes || (this.#spare !== null && this.#spare === this.#busy)) {
      discard(old?.client ?? null);
      return;
    }
    discard(this.#spare?.client ?? null);
    this.#spare = old;
  }

  #stand(line: Line): void {
    this.#line = line;
    this.#dead = false;
    this.#onConnection(true);
  }

  #tried(error: unknown): void {
    this.#triedAtMs = this.#clock.monotonicMs();
    this.#triedUnder = this.#loadedAt;
    this.#turnedAway = isTurnedAway(error) ? refusalText(error) : null;
  }

  async #establish(settings: Settings, timeoutMs: number): Promise<Line> {
    let client: pg.Client;
    try {
      client = await enter(settings, {
        applicationName: 'Regent heartbeat',
        connectTimeoutMs: timeoutMs,
        // Each statement has its own; a spare connection's may be long.
        queryTimeoutMs: 0,
        statementTimeoutMs: STATEMENT_TIMEOUT_MS,
      });
    } catch (error) {
      this.#tried(error);
      throw error;
    }
    try {
      const answer = await client.query<IdentityRow>({ text: IDENTITY_QUERY, query_timeout: timeoutMs } as pg.QueryConfig);
      const lost = () => this.#lost(client);
      client.on('error', lost);
      client.on('end', lost);
      this.#tried(null);
      return { client, identity: answer.rows[0]!, sinceMs: this.#triedAtMs };
    } catch (error) {
      discard(client);
      throw error;
    }
  }

  #lost(client: pg.Client): void {
    if (this.#spare?.client === client) this.#spare = null;
    if (this.#line?.client !== client || this.#dead) return;
    this.#dead = true;
    this.#onConnection(false);
  }

  #takeSpare(): Line | null {
    if (this.#spare === null || this.#spare === this.#busy) return null;
    this.#busy = this.#spare;
    return this.#spare;
  }

  async #onSpare<T>(line: Line, options: Use, work: (client: pg.Client) => Promise<T>): Promise<T> {
    const { client } = line;
    try {
      return await this.#within(client, options, async () => {
        await client.query(`SELECT set_config('statement_timeout', $1, false)`, [String(Math.ceil(options.timeoutMs))]);
        return await work(client);
      });
    } catch (error) {
      // Its state is known only where the server, or the work itself, has said what was wrong.
      if (options.signal?.aborted || (sqlState(error) === null && !isOwnWord(error))) {
        discard(client);
        if (this.#spare === line) this.#spare = null;
      }
      throw error;
    } finally {
      if (this.#busy === line) this.#busy = null;
    }
  }

  /**
   * The last connection must outlive work that is late or called off. The server ends the statement
   * by the connection's own limit. The work may ask nothing more on it, and ends before the call
   * does: files that it writes must not change under the next caller.
   */
  async #onFacts<T>(client: pg.Client, options: Use, work: (client: pg.Client) => Promise<T>): Promise<T> {
    let over: RegentError | null = null;
    const lent: pg.Client = Object.create(client);
    const ask = client.query.bind(client) as (...given: readonly unknown[]) => Promise<unknown>;
    const { timeoutMs, signal } = options;
    let cut: (why: RegentError) => void = () => {};
    const isCut = new Promise<never>((_, reject) => {
      cut = (why) => {
        over = why;
        reject(why);
      };
    });
    isCut.catch(() => {});
    lent.query = ((...given: readonly unknown[]) =>
      over === null ? Promise.race([ask(...given), isCut]) : Promise.reject(over)) as pg.Client['query'];
    const onAbort = () => cut(calledOff(options));
    const cancel = this.#clock.timer(timeoutMs, () => cut(late(options)));
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await work(lent);
    } finally {
      cancel();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** The connection ends with its time, and when the work is called off. */
  async #within<T>(client: pg.Client, options: Use, work: () => Promise<T>): Promise<T> {
    const { timeoutMs, signal } = options;
    let isLate = false;
    const onAbort = () => discard(client);
    const cancel = this.#clock.timer(timeoutMs, () => {
      isLate = true;
      discard(client);
    });
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      if (signal?.aborted) throw calledOff(options);
      return await work();
    } catch (error) {
      throw isLate ? late(options, error) : error;
    } finally {
      cancel();
      signal?.removeEventListener('abort', onAbort);
    }
  }
}

/** What the connection was ended for. */
const CUT_OFF: ReadonlySet<string> = new Set(['SQL_TIMEOUT', 'PG_ABORTED']);

const isOwnWord = (error: unknown) => error instanceof RegentError && !CUT_OFF.has(error.code);

const late = ({ applicationName, timeoutMs }: Use, cause?: unknown) =>
  new RegentError('SQL_TIMEOUT', `${applicationName}: PostgreSQL did not answer within ${Math.round(timeoutMs)} ms`, {
    policy: 'transient',
    cause,
  });

const calledOff = ({ applicationName }: Use) => new RegentError('PG_ABORTED', `${applicationName} was called off`, { policy: 'transient' });
