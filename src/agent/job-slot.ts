/** The one job that runs beside the rounds: how it starts, is called off, and ends. */
import { type Job, type JobOutcome, jobLabel, type RunningJob } from '../core/effects.ts';
import { COPY_POSTPONED } from '../core/slots/copies.ts';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import { codeOf, ensureError, RegentError } from '../support/errors.ts';

/** What a job signals while it runs. All stand until it ends. */
export interface JobSigns {
  /** The server is going down on purpose: it is no longer shown as leader. */
  readonly stopping: () => void;
  /** The server is about to go down: commits should no longer wait for it as a standby. */
  readonly leaving: () => void;
  /** The logical slots that it has copied. */
  readonly copied: (slots: readonly string[]) => void;
}

export type JobBody = (signs: JobSigns, signal: AbortSignal) => Promise<void>;

interface JobListener {
  /** Before the job does anything. */
  readonly started: (job: Job) => void;
  readonly ended: (outcome: JobOutcome) => void;
  /** A round is wanted: the job began, ended, or gave a sign that other members must see. */
  readonly wake: () => void;
}

interface Running extends RunningJob {
  readonly controller: AbortController;
}

export class JobSlot {
  readonly #clock: Pick<Clock, 'bootMs'>;
  readonly #log: Pick<Log, 'error' | 'info'>;
  readonly #listener: JobListener;
  #running: Running | null = null;
  #isStopping = false;
  #isLeaving = false;

  constructor({ clock, log }: { readonly clock: Pick<Clock, 'bootMs'>; readonly log: Pick<Log, 'error' | 'info'> }, listener: JobListener) {
    this.#clock = clock;
    this.#log = log;
    this.#listener = listener;
  }

  get running(): RunningJob | null {
    const { job, startedAtMs } = this.#running ?? {};
    if (job === undefined || startedAtMs === undefined) return null;
    return { job, startedAtMs, ...(this.#isStopping && { stopping: true }) };
  }

  /** The job takes the server down on purpose. */
  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** The job is about to take the server down. */
  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  /** `configVersion`: of the settings by which the job was decided. */
  start(job: Job, configVersion: number, body: JobBody): void {
    const controller = new AbortController();
    let copied: readonly string[] | null = null;
    const signs: JobSigns = {
      copied: (slots) => {
        copied = slots;
      },
      stopping: () => {
        this.#isStopping = true;
      },
      leaving: () => {
        this.#isLeaving = true;
        this.#listener.wake();
      },
    };
    this.#listener.started(job);
    body(signs, controller.signal).then(
      () => this.#ended({ job, configVersion, ...(copied !== null && { copied }) }, null),
      (error: unknown) => this.#ended({ job, configVersion }, ensureError(error)),
    );
    this.#running = { job, startedAtMs: this.#clock.bootMs(), controller };
    this.#listener.wake();
  }

  /** The job fails with this reason as soon as it looks. Nothing happens where none runs. */
  cancel(reason: string): void {
    this.#running?.controller.abort(new RegentError('JOB_CANCELLED', reason, { policy: 'transient' }));
  }

  /** The agent ends, and no other round takes notice of the outcome. */
  abandon(): void {
    this.#running?.controller.abort(new RegentError('AGENT_ENDS', 'the agent is ending'));
  }

  #ended(what: Pick<JobOutcome, 'job' | 'configVersion' | 'copied'>, error: Error | null): void {
    const { job } = what;
    const stopped = this.#isStopping;
    this.#running = null;
    this.#isStopping = false;
    this.#isLeaving = false;
    if (codeOf(error) === COPY_POSTPONED) this.#log.info(ensureError(error).message);
    else if (error !== null) {
      const mend = error instanceof RegentError && error.mend !== null ? { mend: error.mend } : {};
      const failed = job.kind === 'bootstrap' ? 'Failed to bootstrap cluster' : `${jobLabel(job)} failed`;
      this.#log.error(`${failed}: ${error.message}`, { code: codeOf(error), ...mend });
    }
    const endedAtMs = this.#clock.bootMs();
    this.#listener.ended({
      ...what,
      ...(stopped && { stopped }),
      ok: error === null,
      code: codeOf(error),
      message: error?.message ?? null,
      endedAtMs,
    });
    this.#listener.wake();
  }
}
