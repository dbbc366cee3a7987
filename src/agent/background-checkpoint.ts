/** The checkpoint after a promotion. It may take an hour, and no round or job waits for it. */
import type { ChoreOutcome } from '../core/chores.ts';
import type { JobOutcome } from '../core/effects.ts';
import type { Clock } from '../ports/clock.ts';
import type { Postgres } from '../ports/postgres.ts';
import { codeOf, ensureError } from '../support/errors.ts';

const TIMEOUT_MS = 3600_000;

interface CheckpointPorts {
  readonly pg: Pick<Postgres, 'checkpoint'>;
  readonly clock: Pick<Clock, 'bootMs'>;
}

export class BackgroundCheckpoint {
  readonly #ports: CheckpointPorts;
  readonly #ended: (job: JobOutcome, chore: ChoreOutcome) => void;
  #isRunning = false;

  constructor(ports: CheckpointPorts, ended: (job: JobOutcome, chore: ChoreOutcome) => void) {
    this.#ports = ports;
    this.#ended = ended;
  }

  /** Nothing happens where one runs. */
  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#ports.pg.checkpoint({ timeoutMs: TIMEOUT_MS }).then(
      () => this.#finish(null),
      (error: unknown) => this.#finish(ensureError(error)),
    );
  }

  #finish(error: Error | null): void {
    this.#isRunning = false;
    const endedAtMs = this.#ports.clock.bootMs();
    const outcome = { ok: error === null, code: codeOf(error), message: error?.message ?? null, endedAtMs };
    this.#ended({ job: { kind: 'checkpoint' }, ...outcome }, { kind: 'checkpoint', ...outcome });
  }
}
