/**
 * What an agent knows of whether commits wait as synchronous_standby_names says. As the real
 * adapter, it learns that from the checkpointer alone, and forgets it where it sees no names.
 */
import type { PostgresFacts } from '../../../src/core/postgres-facts.ts';
import type { Clock } from '../../../src/ports/clock.ts';
import type { Bounded } from '../../../src/ports/postgres.ts';
import type { PostgresParts } from '../postgres.ts';
import { step, transient } from './transfer.ts';

const LOOK_MS = 10;
/** A round is not held up for longer when nothing was changed. */
const GLANCE_MS = 500;

export class Obedience {
  readonly #parts: PostgresParts;
  readonly #clock: Clock;
  #known = false;

  constructor(parts: PostgresParts) {
    this.#parts = parts;
    this.#clock = parts.clock;
  }

  /** Of a new server: its checkpointer reads the file when it starts. */
  started(names: string): void {
    this.#known = names !== '';
  }

  saw(names: string): void {
    if (names === '') this.#known = false;
  }

  through(facts: PostgresFacts): PostgresFacts {
    if (facts.sql === null) return facts;
    const names = facts.sql.synchronousStandbyNames;
    this.saw(names);
    return { ...facts, sql: { ...facts.sql, obeysSyncNames: names === '' || this.#known } };
  }

  /** Throws PG_RELOAD_TIMEOUT, and leaves the names in force. */
  async until(options: Bounded, how: 'changed' | 'glance'): Promise<void> {
    if (this.#known) return;
    const { server } = this.#parts;
    const { process, sessions } = server;
    const mostMs = how === 'glance' && !server.inRecovery ? Math.min(GLANCE_MS, options.timeoutMs) : options.timeoutMs;
    const deadline = this.#clock.monotonicMs() + mostMs;
    const seen = () => process?.hung === false && !sessions.checkpointerBusy && sessions.obeyed !== '';
    while (!seen()) {
      if (server.process !== process) throw transient('PG_UNREACHABLE', 'the connection ended');
      if (this.#clock.monotonicMs() >= deadline) throw transient('PG_RELOAD_TIMEOUT', 'the checkpointer is busy');
      await step(this.#parts, LOOK_MS, options, 'PG_RELOAD_TIMEOUT');
    }
    this.#known = true;
  }
}
