/**
 * Takes servers that do not answer out of the pool for reads, as etcd does for writes: a replica
 * that stands still keeps its connections, and HAProxy's checks alone need three failures in a row.
 *
 * A failed check counts only if nothing answered it, and PostgreSQL is asked, too: an agent that is
 * being restarted costs readers nothing. Where every server is silent, it is the network or HAProxy
 * that fails, and the checks decide. They also bring a server back.
 */
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import { codeOf, ensureError } from '../support/errors.ts';
import type { HaproxyServer, RouterCommand } from './decide.ts';
import type { Haproxy } from './haproxy-socket.ts';

const LOOK_MS = 250;
const PROBE_MS = 500;
/** HAProxy does not answer, or its file has no such backend. */
const TROUBLED_MS = 10_000;

/** Those to be asked: nothing answered their last check, and another server can be read from. */
export function suspects(servers: readonly HaproxyServer[]): HaproxyServer[] {
  if (!servers.some(({ up, silent }) => up && !silent)) return [];
  return servers.filter(({ ours, silent, address, up, sessions }) => ours && silent && address !== null && (up || sessions > 0));
}

/** First it gets no more clients. Its sessions are cut if it is still silent at the next look. */
export function dismiss({ name, up }: HaproxyServer): RouterCommand {
  return { kind: up ? 'down' : 'cut', server: name };
}

export interface ReadersOptions {
  /** Of the backend for reads. */
  readonly haproxy: Haproxy;
  /** Whether PostgreSQL answers there within the time. */
  readonly answers: (address: string, timeoutMs: number) => Promise<boolean>;
  readonly clock: Pick<Clock, 'timer'>;
  readonly log: Pick<Log, 'info' | 'warning'>;
}

/** Never throws. */
export function watchReaders(options: ReadersOptions): { close(): Promise<void> } {
  const readers = new Readers(options);
  readers.start();
  return readers;
}

class Readers {
  readonly #options: ReadersOptions;
  readonly #dismissed = new Set<string>();
  #cancel: () => void = () => undefined;
  #looking: Promise<void> = Promise.resolve();
  #closed = false;
  #trouble: string | null = null;

  constructor(options: ReadersOptions) {
    this.#options = options;
  }

  start(): void {
    this.#looking = this.#look().then((nextMs) => {
      if (!this.#closed) this.#cancel = this.#options.clock.timer(nextMs, () => this.start());
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel();
    await this.#looking;
  }

  async #look(): Promise<number> {
    try {
      await this.#dismissSilent();
      this.#say(null);
      return LOOK_MS;
    } catch (error) {
      this.#say(ensureError(error).message);
      return codeOf(error) === 'HAPROXY_NO_BACKEND' ? TROUBLED_MS : LOOK_MS * 4;
    }
  }

  async #dismissSilent(): Promise<void> {
    const { haproxy, answers, log } = this.#options;
    const { servers } = await haproxy.state();
    for (const { name, up } of servers) {
      if (up && this.#dismissed.delete(name)) log.info(`${name} answers again: it gets readers`);
    }
    const asked = suspects(servers).map(async (server) => ((await answers(server.address!, PROBE_MS)) ? [] : [server]));
    const gone = (await Promise.all(asked)).flat();
    if (gone.length === 0 || this.#closed) return;
    for (const { name } of gone) {
      if (this.#dismissed.has(name)) continue;
      this.#dismissed.add(name);
      log.info(`${name} does not answer: readers go to others`);
    }
    await haproxy.run(gone.map(dismiss));
  }

  /** When it begins, when the cause changes, and when it ends. */
  #say(trouble: string | null): void {
    if (trouble === this.#trouble) return;
    const { log } = this.#options;
    if (trouble === null) log.info('the pool for reads is watched again');
    else log.warning(`the pool for reads is left to HAProxy's checks: ${trouble}`);
    this.#trouble = trouble;
  }
}
