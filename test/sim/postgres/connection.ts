/**
 * An agent's connections to its server: whether one is open, and whether it is let in again. Those
 * from before outlive a lock-out, not the server.
 */
import type { PostgresFacts } from '../../../src/core/postgres-facts.ts';
import type { Clock } from '../../../src/ports/clock.ts';
import type { SimServer } from '../server.ts';
import type { ServerProcess } from './process.ts';
import { transient } from './transfer.ts';

/** How often a new one is tried, and how often while it is refused. */
const TRY_MS = 15_000;
const TRY_AGAIN_MS = 5000;
const REFUSAL = 'password authentication failed for user "postgres"';

export class Connection {
  readonly #server: SimServer;
  readonly #clock: Clock;
  #process: ServerProcess | null = null;
  #refused = false;
  #triedAtMs = Number.NEGATIVE_INFINITY;

  constructor(server: SimServer, clock: Clock) {
    this.#server = server;
    this.#clock = clock;
  }

  get #open(): boolean {
    return this.#process !== null && this.#process === this.#server.process;
  }

  /** A new one is tried. */
  renew(): void {
    this.#triedAtMs = this.#clock.monotonicMs();
    this.#refused = this.#server.lockedOut;
    if (!this.#refused) this.#process = this.#server.process;
  }

  /** The server has read its files again, which may say something else about who is let in. */
  filesRead(): void {
    this.#triedAtMs = Number.NEGATIVE_INFINITY;
  }

  /** The server lets the agent in no more, and nothing is open from before. */
  get blind(): boolean {
    return this.#server.lockedOut && !this.#open;
  }

  /** Throws PG_REFUSED. */
  need(): void {
    if (this.blind) throw transient('PG_REFUSED', REFUSAL);
  }

  /** What can be known of these facts. */
  through(facts: PostgresFacts): PostgresFacts {
    if (facts.state !== 'running') return facts;
    const sinceMs = this.#clock.monotonicMs() - this.#triedAtMs;
    if (!this.#open || sinceMs > (this.#refused ? TRY_AGAIN_MS : TRY_MS)) this.renew();
    if (!this.#refused) return facts;
    return this.#open ? { ...facts, lockedOut: REFUSAL } : { ...facts, sql: null, lockedOut: REFUSAL, refusal: REFUSAL };
  }
}
