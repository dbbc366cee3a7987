/**
 * Work with logical slots. Making one waits for the transactions of clients, and moving one on
 * reads all the WAL in between: no round waits for it.
 */
import type { ChoreOutcome } from '../core/chores.ts';
import type { LogicalOutcome, LogicalWork } from '../core/slots/logical-work.ts';
import type { Clock } from '../ports/clock.ts';
import type { Postgres } from '../ports/postgres.ts';
import { codeOf, ensureError, RegentError } from '../support/errors.ts';

const TIMEOUT_MS = 10 * 60_000;

interface SlotPorts {
  readonly pg: Pick<Postgres, 'workLogicalSlots'>;
  readonly clock: Pick<Clock, 'bootMs'>;
}

export class BackgroundSlots {
  readonly #ports: SlotPorts;
  readonly #ended: (outcome: LogicalOutcome, chore: ChoreOutcome) => void;
  #running: AbortController | null = null;

  constructor(ports: SlotPorts, ended: (outcome: LogicalOutcome, chore: ChoreOutcome) => void) {
    this.#ports = ports;
    this.#ended = ended;
  }

  /** Nothing happens where some is under way. */
  start(work: LogicalWork): void {
    if (this.#running !== null) return;
    const controller = new AbortController();
    this.#running = controller;
    this.#ports.pg.workLogicalSlots(work, { timeoutMs: TIMEOUT_MS, signal: controller.signal }).then(
      ({ failures, ...outcome }) => this.#finish(controller, outcome, failures.length === 0 ? null : failed(failures)),
      (error: unknown) => this.#finish(controller, { broken: [], held: null }, ensureError(error)),
    );
  }

  /** What is under way is left. That it was called off is no failure. */
  stop(): void {
    this.#running?.abort();
  }

  #finish(controller: AbortController, outcome: Omit<LogicalOutcome, 'endedAtMs'>, error: Error | null): void {
    this.#running = null;
    const endedAtMs = this.#ports.clock.bootMs();
    const counts = controller.signal.aborted ? null : error;
    const chore = { ok: counts === null, code: codeOf(counts), message: counts?.message ?? null, endedAtMs };
    this.#ended({ ...outcome, endedAtMs }, { kind: 'logical-slots', ...chore });
  }
}

const failed = (failures: readonly string[]) => new RegentError('SLOTS_FAILED', failures.join('; '), { policy: 'transient' });
