/** The one persistent connection to the local server, through which its facts are read. */
import type pg from 'pg';
import type { Settings } from '../../core/settings.ts';
import type { Clock } from '../../ports/clock.ts';
import { enter, localDoors } from './doors.ts';
import { type FactsRow, factsQuery, IDENTITY_QUERY, type IdentityRow } from './facts-query.ts';
import type { Door } from './refusal.ts';
import { discard, isTimeout } from './sql.ts';

/** A postmaster that can no longer fork answers on old connections only, so the connection is renewed now and then. */
const RENEW_AFTER_MS = 60_000;
/** On the server's side; the client's own deadline is the caller's. */
const STATEMENT_TIMEOUT_MS = 2000;

/** Where the local server is reached first; see `enter`. */
export function localEndpoint(settings: Settings): Door {
  return localDoors(settings)[0];
}

/** A connection of the superuser to the local server, for one purpose. Commits on it wait for no standby. The caller discards it. */
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

export class Heartbeat {
  private readonly clock: Clock;
  private readonly onConnection: (stands: boolean) => void;
  private line: Line | null = null;
  private dead = false;

  constructor(clock: Clock, onConnection: (stands: boolean) => void) {
    this.clock = clock;
    this.onConnection = onConnection;
  }

  get connected(): boolean {
    return this.line !== null && !this.dead;
  }

  /**
   * Throws what `connect` and pg throw; after that the connection is gone, and the next call makes a new one. A connection that turns out to be
   * dead before the deadline is replaced once: it says only that it was the old server's.
   */
  async facts(settings: Settings, timeoutMs: number): Promise<{ readonly row: FactsRow; readonly identity: IdentityRow }> {
    const deadline = this.clock.monotonicMs() + timeoutMs;
    const hadLine = this.line !== null;
    try {
      return await this.ask(settings, deadline);
    } catch (error) {
      this.reset();
      if (!hadLine || isTimeout(error)) throw error;
    }
    try {
      return await this.ask(settings, deadline);
    } catch (error) {
      this.reset();
      throw error;
    }
  }

  /** Connects if need be. Throws as `facts`. */
  async open(settings: Settings, timeoutMs: number): Promise<void> {
    if (!this.connected) await this.establish(settings, timeoutMs);
  }

  /** Runs a statement on the open connection; for what is asked beside the facts. */
  async query<Row extends pg.QueryResultRow>(text: string, values: unknown[], timeoutMs: number): Promise<Row[]> {
    if (!this.line) return [];
    try {
      return (await this.line.client.query<Row>({ text, values, query_timeout: timeoutMs } as pg.QueryConfig)).rows;
    } catch (error) {
      this.reset();
      throw error;
    }
  }

  reset(): void {
    if (this.line === null) return;
    discard(this.line.client);
    this.line = null;
    this.dead = false;
    this.onConnection(false);
  }

  private async ask(settings: Settings, deadline: number): Promise<{ row: FactsRow; identity: IdentityRow }> {
    const leftMs = () => Math.max(1, deadline - this.clock.monotonicMs());
    if (this.dead) this.reset();
    if (this.line === null) await this.establish(settings, leftMs());
    else if (this.clock.monotonicMs() - this.line.sinceMs > RENEW_AFTER_MS) await this.renew(settings, leftMs());
    const { client, identity } = this.line!;
    const text = factsQuery(identity.server_version);
    const result = await client.query<FactsRow>({ name: 'facts', text, query_timeout: leftMs() } as pg.QueryConfig);
    return { row: result.rows[0]!, identity };
  }

  private async renew(settings: Settings, timeoutMs: number): Promise<void> {
    const old = this.line;
    try {
      await this.establish(settings, timeoutMs);
      discard(old?.client ?? null);
    } catch (error) {
      // Refused for a reason of its own (too many connections, a password changed): the old one still serves.
      if (isTimeout(error) || old === null) throw error;
      this.line = { ...old, sinceMs: this.clock.monotonicMs() };
    }
  }

  private async establish(settings: Settings, timeoutMs: number): Promise<void> {
    const client = await enter(settings, {
      applicationName: 'Regent heartbeat',
      connectTimeoutMs: timeoutMs,
      queryTimeoutMs: STATEMENT_TIMEOUT_MS,
    });
    try {
      const answer = await client.query<IdentityRow>({ text: IDENTITY_QUERY, query_timeout: timeoutMs } as pg.QueryConfig);
      this.line = { client, identity: answer.rows[0]!, sinceMs: this.clock.monotonicMs() };
      this.dead = false;
      const lost = () => {
        if (this.line?.client !== client || this.dead) return;
        this.dead = true;
        this.onConnection(false);
      };
      client.on('error', lost);
      client.on('end', lost);
      this.onConnection(true);
    } catch (error) {
      discard(client);
      throw error;
    }
  }
}
