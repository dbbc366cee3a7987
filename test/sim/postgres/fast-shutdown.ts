/** What src/adapters/postgres/fast-shutdown.ts does during a fast shutdown. */
import { type Connected, DRAIN_PATIENCE_MS, dispensable } from '../../../src/core/shutdown-wait.ts';
import type { Clock } from '../../../src/ports/clock.ts';
import type { SimServer } from '../server.ts';

export class Drain {
  readonly #server: SimServer;
  readonly #clock: Clock;
  readonly #successors: readonly string[];
  readonly #connected: readonly Connected[];
  readonly #onClosed: () => void;
  #writtenAtMs: number | null = null;
  #closed = false;

  constructor(server: SimServer, clock: Clock, successors: readonly string[], onClosed: () => void) {
    this.#server = server;
    this.#clock = clock;
    this.#successors = successors;
    this.#onClosed = onClosed;
    this.#connected = server.replication.senders().map(({ pid, standby }) => ({ pid, name: standby.name }));
  }

  giveUp(): void {
    const { replication, controlState } = this.#server;
    if (controlState !== 'shut down') return;
    const now = this.#clock.monotonicMs();
    this.#writtenAtMs ??= now;
    if (!this.#closed && this.#server.process?.archiving === true) {
      this.#closed = true;
      this.#onClosed();
    }
    if (now - this.#writtenAtMs < DRAIN_PATIENCE_MS) return;
    const left = replication.senders().map(({ pid }) => pid);
    const ended = new Set(this.#connected.filter(({ pid }) => !left.includes(pid)).map(({ pid }) => pid));
    replication.end(dispensable(this.#connected, ended, this.#successors).map(({ pid }) => pid));
  }
}
