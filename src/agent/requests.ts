/**
 * Requests to this node that are not done yet: the loop reads them as facts, and the askers wait
 * for the outcome.
 */
import { type Job, type JobOutcome, jobLabel } from '../core/effects.ts';
import type { OperatorRequests } from '../core/model.ts';
import type { Reinitialization } from '../ports/agent-status.ts';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import { outcomeText, type RequestOutcome, type RestartRequest } from '../ports/operator.ts';
import type { SettingsSource } from '../ports/settings.ts';
import type { JsonObject } from '../support/json.ts';
import type { JobSlot } from './job-slot.ts';
import type { RoundsView } from './rounds.ts';
import { ScheduledRestart } from './scheduled-restart.ts';

/** A request that was not fulfilled by then is answered with a refusal. */
const PATIENCE_MS = 30_000;

interface Waiting {
  readonly kind: 'restart' | 'reinitialize';
  readonly timeoutMs: number | null;
  readonly fromLeader: boolean;
  started: boolean;
  readonly begun?: () => void;
  readonly settle: (outcome: RequestOutcome) => void;
}

interface RequestPorts {
  readonly clock: Pick<Clock, 'wallMs' | 'timer'>;
  readonly log: Pick<Log, 'info' | 'warning'>;
  readonly settings: Pick<SettingsSource, 'local'>;
}

/** What a request is judged by, and what it may set going. */
interface RequestScene {
  readonly rounds: Pick<RoundsView, 'last' | 'memory' | 'onEnd'>;
  readonly job: Pick<JobSlot, 'running' | 'cancel'>;
  /** A round must see what was asked for. */
  readonly wake: () => void;
}

export class Requests {
  readonly #ports: RequestPorts;
  readonly #scene: RequestScene;
  shutdown = false;
  #waiting: Waiting | null = null;
  #reinitialization: Reinitialization | null = null;
  #jobs = 0;
  readonly #scheduled: ScheduledRestart;

  constructor(ports: RequestPorts, scene: RequestScene) {
    this.#ports = ports;
    this.#scene = scene;
    this.#scheduled = new ScheduledRestart(ports, scene.rounds, (request) => this.restart(request));
  }

  open(): OperatorRequests {
    const open = this.#waiting?.started === false ? this.#waiting : null;
    return {
      shutdown: this.shutdown,
      restart: open?.kind === 'restart' ? { timeoutMs: open.timeoutMs } : null,
      reinitialize: open?.kind === 'reinitialize' ? { fromLeader: open.fromLeader } : null,
    };
  }

  jobStarted(job: Job): void {
    if (this.#waiting === null || !fulfils(job, this.#waiting)) return;
    this.#waiting.started = true;
    this.#waiting.begun?.();
  }

  jobEnded(outcome: JobOutcome): void {
    const waiting = this.#waiting;
    if (waiting === null || !waiting.started || !fulfils(outcome.job, waiting)) return;
    this.#waiting = null;
    waiting.settle(outcome.ok ? { ok: true, message: 'restarted successfully' } : failed(waiting.kind, outcome.message));
  }

  async restart(request: RestartRequest): Promise<RequestOutcome> {
    const refused = this.#refusal(request);
    if (refused !== null) return refused;
    return this.#ask({
      kind: 'restart',
      timeoutMs: request.timeoutSeconds === undefined ? null : request.timeoutSeconds * 1000,
      fromLeader: false,
    });
  }

  /** Answers as soon as the work has begun; it may take hours. */
  async reinitialize(options: { readonly force: boolean; readonly fromLeader: boolean }): Promise<RequestOutcome> {
    const view = this.#view();
    const me = this.#ports.settings.local().name;
    if (view === null || view.leader === null) return { ok: false, status: 503, message: 'Cluster has no leader, can not reinitialize' };
    if (view.leader.name === me) return { ok: false, status: 503, message: 'I am the leader, can not reinitialize' };
    // Checked before anything is called off: an earlier request begins next, and this one would be
    // refused after all.
    if (this.#waiting?.started === false) return { ok: false, status: 503, message: `${this.#waiting.kind} already in progress` };
    const running = this.#scene.job.running;
    if (running !== null) {
      if (!options.force) return { ok: false, status: 503, message: `${jobLabel(running.job)} already in progress` };
      this.#scene.job.cancel('reinitialize was asked for with force');
      // The asker of the cancelled work is answered now: its outcome must not be mistaken for that
      // of the next work.
      if (this.#waiting?.started === true) this.#dismiss(this.#waiting, 'called off: reinitialize was asked for with force');
    }
    if (this.#waiting !== null) return { ok: false, status: 503, message: `${this.#waiting.kind} already in progress` };
    // A request that cannot be fulfilled soon is dropped. An operator does not expect data to be
    // removed months later, when this node has led and lost the lead.
    const job = this.#newJob();
    const tell = (state: Reinitialization['state'], reason: string | null = null) => {
      this.#reinitialization = { job, state, reason };
    };
    let giveUp = () => {};
    const waiting: Waiting = {
      kind: 'reinitialize',
      timeoutMs: null,
      fromLeader: options.fromLeader,
      started: false,
      begun: () => tell('running'),
      settle: (outcome) => {
        giveUp();
        tell(outcome.ok ? 'done' : 'failed', outcome.ok ? null : outcomeText(outcome));
      },
    };
    giveUp = this.#ports.clock.timer(PATIENCE_MS, () => {
      if (waiting.started || this.#waiting !== waiting) return;
      const last = this.#scene.rounds.last?.decision.because;
      this.#dismiss(waiting, `it could not begin within ${PATIENCE_MS / 1000} seconds, and is not tried later${last ? ` (${last})` : ''}`);
      this.#ports.log.warning('reinitialize was asked for and could not begin; the request is dropped');
    });
    tell('waiting');
    this.#waiting = waiting;
    this.#scene.wake();
    return { ok: true, message: 'reinitialize started', job };
  }

  /**
   * The last one that was asked for: `--wait` answers for it, whatever else happens to the member.
   */
  get reinitialization(): Reinitialization | null {
    return this.#reinitialization;
  }

  /**
   * The id contains the time as well: a request to an earlier agent must not be mistaken for one to
   * this agent.
   */
  #newJob(): string {
    this.#jobs += 1;
    return `${this.#ports.clock.wallMs().toString(36)}-${this.#jobs}`;
  }

  get scheduledRestart(): JsonObject | null {
    return this.#scheduled.data;
  }

  /** In words; null: none is scheduled, or its time has come. */
  get awaitedRestart(): string | null {
    return this.#scheduled.awaited;
  }

  /** False when one is scheduled already. */
  schedule(data: JsonObject, request: RestartRequest, atWallMs: number): boolean {
    const taken = this.#scheduled.schedule(data, request, atWallMs);
    if (taken) this.#scene.wake();
    return taken;
  }

  deleteScheduled(): boolean {
    const deleted = this.#scheduled.delete();
    if (deleted) this.#scene.wake();
    return deleted;
  }

  #dismiss(waiting: Waiting, message: string): void {
    this.#waiting = null;
    waiting.settle(failed(waiting.kind, message));
  }

  #view() {
    const dcs = this.#scene.rounds.last?.observation.dcs;
    return dcs?.known ? dcs.view : null;
  }

  #refusal(request: RestartRequest): RequestOutcome | null {
    const unsatisfied: RequestOutcome = { ok: false, status: 503, message: 'restart conditions are not satisfied' };
    // Not the same: regentctl takes the above for "there is no need".
    const unknown: RequestOutcome = { ...unsatisfied, reason: 'PostgreSQL does not answer, so they are not known' };
    const pg = this.#scene.rounds.last?.observation.pg;
    const running = this.#scene.job.running;
    if (running !== null) return { ok: false, status: 503, message: `${jobLabel(running.job)} already in progress` };
    if (this.#waiting !== null) return { ok: false, status: 503, message: `${this.#waiting.kind} already in progress` };
    if (pg?.state === 'starting') return { ok: false, status: 503, message: 'postgres is still starting' };
    // A server that refuses the agent is known by its files, and a restart needs no more.
    const known = pg?.state === 'stopped' || (pg?.state === 'running' && pg.lockedOut !== undefined);
    if (pg === undefined || (pg.sql === null && (!known || pg.dataDir !== 'valid'))) return unknown;
    const standby = this.#scene.rounds.memory.role === 'standby_leader' ? 'standby_leader' : 'replica';
    const role = (pg.sql === null ? pg.standbySignal : pg.sql.inRecovery) ? standby : 'primary';
    if (request.role !== undefined && request.role !== role) return unsatisfied;
    // Of a server that is down or refuses the agent, this cannot be told; a start makes pending
    // settings effective in any case.
    if (pg.sql === null) return request.restartPending || request.postgresVersion !== undefined ? unknown : null;
    if (request.restartPending && Object.keys(pg.sql.pendingRestart).length === 0) return unsatisfied;
    if (request.postgresVersion !== undefined && pg.sql.serverVersion >= versionNumber(request.postgresVersion)) return unsatisfied;
    return null;
  }

  #ask(request: { kind: 'restart' | 'reinitialize'; timeoutMs: number | null; fromLeader: boolean }): Promise<RequestOutcome> {
    const { clock } = this.#ports;
    return new Promise((resolve) => {
      const settle = (outcome: RequestOutcome) => {
        giveUp();
        resolve(outcome);
      };
      const waiting: Waiting = { ...request, started: false, settle };
      const giveUp = clock.timer(PATIENCE_MS, () => {
        if (waiting.started || this.#waiting !== waiting) return;
        this.#waiting = null;
        resolve(failed('restart', 'the node was not in a state to be restarted'));
      });
      this.#waiting = waiting;
      this.#scene.wake();
    });
  }
}

function failed(kind: Waiting['kind'], reason: string | null): RequestOutcome {
  return { ok: false, status: 503, message: `${kind} failed`, ...(reason === null ? {} : { reason }) };
}

/**
 * A server that is down is not restarted but started, by the rule that comes to it first. If the
 * data are gone already (a copy was called off), any member without data gets a copy, and that one
 * fulfils the request. To remove it and begin again would be useless.
 */
function fulfils(job: Job, waiting: Waiting): boolean {
  return job.kind === waiting.kind || job.kind === (waiting.kind === 'restart' ? 'start' : 'clone');
}

/** `15.4` → 150004; `9.6.2` is long out of support and orders below everything that is not. */
function versionNumber(text: string): number {
  const [major = 0, minor = 0] = text.split('.').map(Number);
  return major * 10_000 + minor;
}
