/**
 * The benchmark's client, a process of its own so that only the cluster delays it. It writes one
 * row after another through one port, and opens a new connection at once when the old one breaks.
 * What was acknowledged and what failed goes to the parent, whose end is also the end of this
 * process.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { SUPERUSER } from '../src/demo/node-config.ts';
import { nowMs } from './now.ts';
import type { Ack, Failure } from './outage.ts';

const PAUSE_MS = 3;
/** Between two attempts to connect; a refusal comes within a millisecond. */
const RECONNECT_PAUSE_MS = 5;
const CONNECT_TIMEOUT_MS = 500;
const WRITE_TIMEOUT_MS = 2000;
const REPORT_EVERY_MS = 50;

/** What is sent to the parent. */
export interface Report {
  readonly acks: readonly Ack[];
  readonly failures: readonly Failure[];
  /** Of the latest failure; null: none in this report. */
  readonly lastError: string | null;
}

class Client {
  readonly #port: number;
  #nextId: number;
  #acks: Ack[] = [];
  #failures: Failure[] = [];
  #lastError: string | null = null;

  constructor(port: number, firstId: number) {
    this.#port = port;
    this.#nextId = firstId;
  }

  take(): Report {
    const report = { acks: this.#acks, failures: this.#failures, lastError: this.#lastError };
    this.#acks = [];
    this.#failures = [];
    this.#lastError = null;
    return report;
  }

  async run(): Promise<never> {
    for (;;) {
      const client = new pg.Client({
        host: '127.0.0.1',
        port: this.#port,
        user: SUPERUSER.username,
        password: SUPERUSER.password,
        database: 'postgres',
        connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
        query_timeout: WRITE_TIMEOUT_MS,
      });
      client.on('error', () => undefined);
      try {
        await client.connect();
        await this.#writeOn(client);
      } catch (error) {
        this.#failed('connect', error);
        await sleep(RECONNECT_PAUSE_MS);
      }
      // Not awaited: a server that is gone does not answer the farewell.
      void client.end().catch(() => undefined);
    }
  }

  async #writeOn(client: pg.Client): Promise<void> {
    for (;;) {
      const id = this.#nextId++;
      try {
        const query = { name: 'w', text: 'insert into writes (id) values ($1) returning inet_server_port() as port', values: [id] };
        const { rows } = await client.query<{ port: number }>(query);
        this.#acks.push([id, nowMs(), rows[0]!.port]);
      } catch (error) {
        this.#failed('write', error);
        return;
      }
      await sleep(PAUSE_MS);
    }
  }

  #failed(kind: Failure[1], error: unknown): void {
    this.#failures.push([nowMs(), kind]);
    this.#lastError = error instanceof Error ? error.message : String(error);
  }
}

/** Started by `startWriter` with an IPC channel. Runs until the channel ends. */
export async function writerMain(args: readonly string[]): Promise<number> {
  const [port, firstId] = args.map(Number);
  if (!process.send || port === undefined || firstId === undefined) {
    process.stderr.write('this is a part of regent bench failover\n');
    return 2;
  }
  process.on('disconnect', () => process.exit(0));
  // Ctrl-C is the parent's to answer.
  process.on('SIGINT', () => undefined);
  const client = new Client(port, firstId);
  setInterval(() => process.send?.(client.take()), REPORT_EVERY_MS);
  return client.run();
}
