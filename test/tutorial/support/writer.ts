/**
 * A client of port 5000 that inserts one row after another and remembers which of them were
 * acknowledged, when, and by which server.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Stack } from './stack.ts';

interface Ack {
  readonly id: number;
  readonly server: string;
  readonly atMs: number;
}

const PAUSE_MS = 10;
const PATIENCE_MS = 10_000;

export class Writer {
  readonly acks: Ack[] = [];
  #stopped = false;
  #lastError = 'none';
  readonly #done: Promise<void>;

  private constructor() {
    this.#done = this.#run();
  }

  /** Resolves with the first acknowledgement. */
  static async start(stack: Stack): Promise<Writer> {
    const leader = await stack.leader();
    await stack.sql(leader!, 'create table if not exists acknowledged (id int primary key)');
    const writer = new Writer();
    await writer.until(stack, 'a first row', () => writer.acks.length > 0);
    return writer;
  }

  async until(stack: Stack, what: string, holds: () => boolean): Promise<void> {
    await stack.until(`${what} through port 5000`, 30_000, async () => (holds() ? null : `last error: ${this.#lastError}`));
  }

  /**
   * From the last row that the server of that address acknowledged to the first of another, in
   * milliseconds. Infinity before there is one.
   */
  gapMs(address: string): number {
    const last = this.acks.findLast((ack) => ack.server === address);
    const next = this.acks.find((ack) => ack.server !== address && ack.atMs > (last?.atMs ?? 0));
    return next === undefined || last === undefined ? Number.POSITIVE_INFINITY : next.atMs - last.atMs;
  }

  /** Stops, and resolves to the acknowledged rows that the leader has not. */
  async lost(stack: Stack): Promise<readonly number[]> {
    this.#stopped = true;
    await this.#done;
    const present = new Set((await stack.sql((await stack.leader())!, 'select id from acknowledged')).map(Number));
    return this.acks.map((ack) => ack.id).filter((id) => !present.has(id));
  }

  async #run(): Promise<void> {
    // A number is never used twice: the fate of the row whose connection broke is not known.
    for (let id = 1; !this.#stopped; await delay(PAUSE_MS)) {
      const client = new pg.Client({
        host: 'localhost',
        port: 5000,
        user: 'postgres',
        database: 'postgres',
        connectionTimeoutMillis: PATIENCE_MS,
        query_timeout: PATIENCE_MS,
      });
      client.on('error', () => undefined);
      try {
        await client.connect();
        const { rows } = await client.query<{ server: string }>('select host(inet_server_addr()) as server');
        while (!this.#stopped) {
          id += 1;
          await client.query('insert into acknowledged values ($1)', [id]);
          this.acks.push({ id, server: rows[0]!.server, atMs: performance.now() });
          await delay(PAUSE_MS);
        }
      } catch (error) {
        this.#lastError = error instanceof Error ? error.message : String(error);
      }
      await client.end().catch(() => undefined);
    }
  }
}
