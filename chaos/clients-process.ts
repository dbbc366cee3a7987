/**
 * The clients of a chaos run, in a process of their own so that only the cluster delays them. Some
 * write through HAProxy, and connect again at once when that fails; the stubborn ones write to one
 * server all the time, whatever its role, over its Unix socket, which no fault of the network
 * touches. What each was told goes to a file that only grows. The parent's end is also the end of
 * this process.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { nowMs } from '../bench/now.ts';
import { codeOf } from '../src/support/errors.ts';
import { lineOf, type Outcome } from './history.ts';

export interface ClientsFile {
  readonly history: string;
  readonly clients: readonly ClientPlan[];
  /** By PostgreSQL's port: the server says which it is. */
  readonly nodes: Readonly<Record<string, string>>;
  readonly user: string;
  readonly password: string;
}

export interface ClientPlan {
  readonly name: string;
  /** An address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly firstId: number;
  /** Between two writes. */
  readonly pauseMs: number;
  /** Between two attempts to connect. */
  readonly reconnectMs: number;
  /** A write that takes longer is given up with its connection. */
  readonly patienceMs: number;
}

/** SQLSTATE read_only_sql_transaction: a standby said no, and the connection is good for more. */
const READ_ONLY = '25006';
const CONNECT_TIMEOUT_MS = 1000;
const FLUSH_EVERY_MS = 20;

const WRITE = `insert into chaos (id, client) values ($1, $2) returning current_setting('port') as port,
  left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) as timeline`;

const buffer: Outcome[] = [];
let stopping = false;

class Client {
  readonly #plan: ClientPlan;
  readonly #file: ClientsFile;
  #nextId: number;

  constructor(plan: ClientPlan, file: ClientsFile) {
    this.#plan = plan;
    this.#file = file;
    this.#nextId = plan.firstId;
  }

  async run(): Promise<void> {
    const { host, port, patienceMs, reconnectMs } = this.#plan;
    const { user, password } = this.#file;
    while (!stopping) {
      const client = new pg.Client({
        ...{ host, port, user, password, database: 'postgres' },
        connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
        query_timeout: patienceMs,
      });
      client.on('error', () => undefined);
      try {
        await client.connect();
        while (!stopping && (await this.#write(client))) await sleep(this.#plan.pauseMs);
      } catch {
        // It could not connect: there is no write to tell of.
      }
      // Not awaited: a server that is gone does not answer the farewell.
      void client.end().catch(() => undefined);
      if (!stopping) await sleep(reconnectMs);
    }
  }

  /** False: the connection is not good for another write. */
  async #write(client: pg.Client): Promise<boolean> {
    const { name } = this.#plan;
    const id = this.#nextId++;
    const sentMs = nowMs();
    const common = { by: name, id, sentMs };
    try {
      const { rows } = await client.query<{ port: string; timeline: string }>({ name: 'w', text: WRITE, values: [id, name] });
      const { port, timeline } = rows[0]!;
      buffer.push({ ...common, atMs: nowMs(), node: this.#file.nodes[port] ?? `port ${port}`, timeline: Number.parseInt(timeline, 16) });
      return true;
    } catch (error) {
      const refused = codeOf(error) === READ_ONLY;
      const text = error instanceof Error ? error.message : String(error);
      buffer.push({ ...common, atMs: nowMs(), error: `${codeOf(error) ?? '-'} ${text}`, refused });
      // Through HAProxy the next connection may lead elsewhere.
      return refused && !name.startsWith('router-');
    }
  }
}

/** Started by `Clients` with an IPC channel. Any message ends it in order, once all is told. */
export async function clientsMain(args: readonly string[]): Promise<number> {
  const [path] = args;
  if (!process.send || path === undefined) {
    process.stderr.write('this is a part of regent chaos\n');
    return 2;
  }
  const file = JSON.parse(readFileSync(path, 'utf8')) as ClientsFile;
  const flush = () => {
    const lines = buffer.splice(0).map(lineOf);
    if (lines.length > 0) appendFileSync(file.history, lines.join(''));
  };
  process.on('disconnect', () => process.exit(0));
  // Ctrl-C is the parent's to answer.
  process.on('SIGINT', () => undefined);
  process.on('message', () => {
    stopping = true;
  });
  const timer = setInterval(flush, FLUSH_EVERY_MS);
  await Promise.all(file.clients.map((plan) => new Client(plan, file).run()));
  clearInterval(timer);
  flush();
  process.disconnect();
  return 0;
}
