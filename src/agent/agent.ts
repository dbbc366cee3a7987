/**
 * The loop: observe → decide → act, one round at a time. Everything else (watches, the postmaster's
 * end, REST, signals) only wakes it.
 */
import type { ChoreOutcome } from '../core/chores.ts';
import type { ClusterView } from '../core/cluster.ts';
import { contextOf } from '../core/context.ts';
import { decide } from '../core/decide.ts';
import { type CallbackAction, type Job, type JobOutcome, jobLabel, type RunningJob } from '../core/effects.ts';
import { type Decision, emptyMemory, type Memory, type Observation } from '../core/model.ts';
import { leaseMargins, roundIntervalMs } from '../core/settings.ts';
import type { DroppedWish } from '../ports/operator.ts';
import { codeOf, ensureError, RegentError } from '../support/errors.ts';
import { act, type Hands } from './act.ts';
import { droppedWish } from './dropped-wish.ts';
import { FailureLog } from './failure-log.ts';
import { Fence } from './fence.ts';
import { runJob } from './jobs.ts';
import { Lease } from './lease.ts';
import { MemberKey } from './member-key.ts';
import { News } from './news.ts';
import { observe } from './observe.ts';
import type { Parts } from './parts.ts';
import { Requests } from './requests.ts';
import { RoundLog } from './round-log.ts';
import { Tally } from './tally.ts';
import { Wake } from './wake.ts';

/** A round that was asked for again at once must still leave the machine some air. */
const MIN_GAP_MS = 5;
const STANDSTILL_MS = 2000;
const AFTER_FAILURE_MS = 1000;
const LATE_GAP_MS = 20;

export interface LastRound {
  readonly observation: Observation;
  readonly decision: Decision;
  readonly endedAtMs: number;
  readonly nextAtMs: number;
}

export class Agent {
  readonly parts: Parts;
  readonly wake: Wake;
  readonly lease: Lease;
  readonly fence: Fence;
  readonly requests: Requests;
  readonly tally = new Tally();
  readonly #memberKey: MemberKey;
  readonly #log: RoundLog;
  readonly #failures: FailureLog;
  #memory: Memory = emptyMemory;
  #last: LastRound | null = null;
  #dropped: DroppedWish | null = null;
  /** At first, of the agent that ran here before. */
  #syncUnsettled = true;
  rounds = 0;
  #lastDcsReadWallMs: number | null = null;
  #lastView: ClusterView | null = null;
  #running: { readonly job: Job; readonly startedAtMs: number; readonly controller: AbortController; readonly done: Promise<void> } | null =
    null;
  #checkpointing = false;
  #stopping = false;
  #leaving = false;
  readonly #news = new News();
  #exit: { readonly code: number; readonly message: string } | null = null;
  #reloadWanted = false;
  #reloaded: () => void = () => {};
  #configVersion = 1;
  #appliedVersion = 0;
  /**
   * Of the dynamic configuration by which PostgreSQL was looked at last, with nothing of it left to
   * apply; null: there was none yet.
   */
  configRevision: string | null = null;
  readonly #roundListeners = new Set<() => void>();

  constructor(parts: Parts) {
    this.parts = parts;
    this.wake = new Wake(parts.clock);
    this.lease = new Lease(parts.dcs, parts.clock, parts.settings.current().dynamic.ttlSeconds);
    this.fence = new Fence(parts, this.lease);
    this.requests = new Requests(this);
    this.#memberKey = new MemberKey(parts, this.lease);
    this.#log = new RoundLog(parts);
    this.#failures = new FailureLog(parts.log);
  }

  get memory(): Memory {
    return this.#memory;
  }

  get last(): LastRound | null {
    return this.#last;
  }

  get dropped(): DroppedWish | null {
    return this.#dropped;
  }

  get job(): RunningJob | null {
    return this.#running;
  }

  /** The server is being taken down on purpose; it is not to be shown as leader any more. */
  get stopping(): boolean {
    return this.#stopping;
  }

  /** The server is about to be taken down: as a standby it is not to be waited for. */
  get leaving(): boolean {
    return this.#leaving;
  }

  /** Epoch ms of the last successful read of etcd; null: none yet. */
  get lastDcsReadWallMs(): number | null {
    return this.#lastDcsReadWallMs;
  }

  /** What that read found. */
  get lastView(): ClusterView | null {
    return this.#lastView;
  }

  onRound(listener: () => void): () => void {
    this.#roundListeners.add(listener);
    return () => this.#roundListeners.delete(listener);
  }

  /** SIGTERM: ends in good order. May be called again; only the first counts. */
  shutdown(): void {
    this.requests.shutdown = true;
    this.wake.now();
  }

  /**
   * Called when the operator asked for a reload and the local configuration could be read, changed
   * or not.
   */
  onReload(listener: () => void): void {
    this.#reloaded = listener;
  }

  reload(): void {
    this.#reloadWanted = true;
    this.wake.now();
  }

  /** Runs until asked to end, or until it must not go on. Resolves to the exit code. */
  async run(): Promise<number> {
    const { parts } = this;
    parts.guard.onGone(() => {
      parts.log.warning('the guard is gone; starting it again');
      this.tally.add('guardLosses');
      void this.fence.replace().then(() => this.wake.now());
    });
    await parts.guard.open();
    parts.pg.onPostmasterGone(() => this.wake.now());
    const me = parts.settings.local().name;
    const watch = parts.dcs.watch((event) => this.wake.onKey(event.key, me));
    try {
      while (this.#exit === null) await this.#turn();
    } finally {
      watch.close();
      this.#running?.controller.abort(new RegentError('AGENT_ENDS', 'the agent is ending'));
    }
    return this.#exit.code;
  }

  async #turn(): Promise<void> {
    const startedAtMs = this.parts.clock.bootMs();
    if (this.#reloadWanted) {
      this.#reloadWanted = false;
      // Unchanged settings may name files that have changed: certificates, what postgresql.conf
      // includes, host names of the allowlist.
      if (this.parts.settings.reload() !== 'refused') {
        this.parts.pg.reloadAsked();
        this.#settingsChanged();
        this.#reloaded();
      }
    }
    let wakeAtMs: number | null = null;
    try {
      wakeAtMs = await this.#round();
      this.#failures.passed();
    } catch (error) {
      if (error instanceof RegentError && error.policy === 'bug') throw error;
      this.#failures.failed(error);
      this.tally.add('roundFailures');
      wakeAtMs = this.#afterFailure();
    }
    if (this.#exit !== null) return;
    const nextAtMs = this.#nextRoundAt(startedAtMs, wakeAtMs);
    if (this.#last)
      this.#last = { observation: this.#last.observation, decision: this.#last.decision, endedAtMs: this.parts.clock.bootMs(), nextAtMs };
    for (const listener of [...this.#roundListeners]) listener();
    await this.wake.until(nextAtMs);
    this.#noteStandstill(nextAtMs);
  }

  /**
   * A leader's next round leaves time to renew, to look at a slow PostgreSQL and to move the
   * guard's deadline on, or to take PostgreSQL down before the guard does.
   */
  #afterFailure(): number {
    const now = this.parts.clock.bootMs();
    const { confirmedSentAtMs, ttlSeconds } = this.lease.facts();
    if (this.#memory.role !== 'primary' || confirmedSentAtMs === null) return now + AFTER_FAILURE_MS;
    return Math.max(now + LATE_GAP_MS, Math.min(now + AFTER_FAILURE_MS, confirmedSentAtMs + leaseMargins(ttlSeconds).stepDownMs / 2));
  }

  /**
   * What a frozen process or a suspended machine missed cannot be told from inside; that it was
   * away can, and explains what comes next.
   */
  #noteStandstill(dueAtMs: number): void {
    const lateMs = this.parts.clock.bootMs() - dueAtMs;
    if (lateMs < STANDSTILL_MS) return;
    this.parts.log.warning(`this agent stood still for ${Math.round(lateMs / 1000)} s: frozen, suspended, or on an overloaded machine`);
  }

  #nextRoundAt(startedAtMs: number, wakeAtMs: number | null): number {
    const now = this.parts.clock.bootMs();
    const regular = startedAtMs + roundIntervalMs(this.parts.settings.current().dynamic, this.#memory.role === 'primary');
    const { confirmedSentAtMs, ttlSeconds } = this.lease.facts();
    const stepDown = confirmedSentAtMs === null ? regular : confirmedSentAtMs + leaseMargins(ttlSeconds).stepDownMs;
    const dueMs = Math.min(regular, wakeAtMs ?? regular, stepDown > now ? stepDown : regular, this.fence.retryAtMs ?? regular);
    return Math.max(now + MIN_GAP_MS, dueMs);
  }

  async #round(): Promise<number | null> {
    const told = this.#news.take();
    const known = this.#configVersion === this.#appliedVersion ? this.#lastSettings : null;
    let observation: Observation;
    try {
      observation = await observe(this.parts, this.lease, {
        memory: this.#memory,
        job: this.#running,
        ...told,
        wishes: this.requests.wishes(),
        configDirty: () => this.#configVersion !== this.#appliedVersion,
        configVersion: () => this.#configVersion,
        guardHealthy: this.fence.healthy,
        syncUnsettled: this.#syncUnsettled,
        untilLeaderChanges: () => this.wake.untilLeaderChanges(),
        cover: (c) => this.fence.cover(c),
      });
    } catch (error) {
      this.#news.giveBack(told);
      throw error;
    }
    this.#noteSettings(observation);
    if (observation.dcs.known) {
      this.#lastDcsReadWallMs = observation.wallMs;
      this.#lastView = observation.dcs.view;
      if (observation.settings === known) this.configRevision = observation.dcs.view.config?.modRevision ?? null;
      this.#log.warnOfMembers(observation.dcs.view);
    }
    await this.fence.follow(contextOf(observation, this.#memory));
    if (observation.guardHealthy !== this.fence.healthy) observation = { ...observation, guardHealthy: this.fence.healthy };
    const decision = decide(observation, this.#memory);
    this.#log.noteMemory(this.#memory, decision.memory);
    this.tally.note(this.#memory, decision.memory, observation);
    this.#memory = decision.memory;
    this.#dropped = droppedWish(decision, observation.nowMs) ?? this.#dropped;
    this.rounds += 1;
    this.#last = { observation, decision, endedAtMs: observation.nowMs, nextAtMs: observation.nowMs };
    this.wake.watchMembers = decision.watchMembers;
    this.#log.say(decision);
    this.#log.noteSync(contextOf(observation, this.#memory), decision);
    // What this node is now is what routers and followers wait for: it does not stand behind the
    // round's other writes.
    const [done] = await Promise.all([act(this.#hands(), decision), this.#memberKey.publish(this, observation)]);
    return done ? decision.wakeAtMs : this.parts.clock.bootMs() + 200;
  }

  #noteSettings(observation: Observation): void {
    if (observation.settings !== this.#lastSettings) {
      if (this.#lastSettings !== null) this.wake.now();
      this.#lastSettings = observation.settings;
      this.#settingsChanged();
    }
  }

  #lastSettings: unknown = null;

  #settingsChanged(): void {
    this.#configVersion += 1;
    this.parts.pg.configure(this.parts.settings.current());
  }

  #hands(): Hands {
    const version = this.#configVersion;
    return {
      parts: this.parts,
      lease: this.lease,
      fence: this.fence,
      startJob: (job) => this.#startJob(job),
      cancelJob: (reason) => this.cancelJob(reason),
      checkpoint: () => this.#checkpoint(),
      exit: (code, message) => {
        this.#exit = { code, message };
        if (code === 0) this.parts.log.info(message);
        else this.parts.log.critical(message);
      },
      configApplied: () => this.#configApplied(version),
      syncUnsettled: (unsettled) => {
        this.#syncUnsettled = unsettled;
      },
      announce: (action, role) => this.#announce(action, role),
      choreEnded: (outcome) => this.#choreEnded({ ...outcome, configVersion: version }),
    };
  }

  /** It counts once the script was started: until then it is asked for again. */
  async #announce(action: CallbackAction, role: string): Promise<void> {
    await this.parts.pg.runCallback(action, role);
    if (action !== 'on_reload') this.#news.announced({ action, role });
  }

  #choreEnded(outcome: ChoreOutcome): void {
    // Of one that works every time nothing is to be remembered.
    if (!outcome.ok || this.#memory.chores[outcome.kind] !== undefined) this.#news.choreEnded(outcome);
  }

  cancelJob(reason: string): void {
    this.#running?.controller.abort(new RegentError('JOB_CANCELLED', reason, { policy: 'transient' }));
  }

  /**
   * `version`: of the settings by which it was decided. What has changed since is applied by
   * another round.
   */
  #configApplied(version: number): void {
    if (this.#appliedVersion !== version && this.#appliedVersion > 0) this.wake.now();
    this.#appliedVersion = version;
    this.parts.settings.save();
  }

  #startJob(job: Job): void {
    const version = this.#configVersion;
    const controller = new AbortController();
    const deps = {
      parts: this.parts,
      lease: this.lease,
      fence: this.fence,
      configApplied: () => this.#configApplied(version),
      stopping: () => {
        this.#stopping = true;
      },
      leaving: () => {
        this.#leaving = true;
        this.wake.now();
      },
      announce: (action: CallbackAction, role: string) => this.#announce(action, role),
    };
    this.requests.jobStarted(job);
    const done = runJob(deps, job, controller.signal).then(
      () => this.#jobEnded(job, version, null),
      (error: unknown) => this.#jobEnded(job, version, ensureError(error)),
    );
    this.#running = { job, startedAtMs: this.parts.clock.bootMs(), controller, done };
    this.wake.now();
  }

  #jobEnded(job: Job, configVersion: number, error: Error | null): void {
    this.#running = null;
    this.#stopping = false;
    this.#leaving = false;
    if (error !== null) {
      const mend = error instanceof RegentError && error.mend !== null ? { mend: error.mend } : {};
      this.parts.log.error(`${jobLabel(job)} failed: ${error.message}`, { code: codeOf(error), ...mend });
    }
    const outcome: JobOutcome = {
      job,
      ok: error === null,
      code: codeOf(error),
      message: error?.message ?? null,
      endedAtMs: this.parts.clock.bootMs(),
      configVersion,
    };
    this.#news.jobEnded(outcome);
    this.requests.jobEnded(outcome);
    this.wake.now();
  }

  #checkpoint(): void {
    if (this.#checkpointing) return;
    this.#checkpointing = true;
    const job: Job = { kind: 'checkpoint' };
    const finish = (error: Error | null) => {
      this.#checkpointing = false;
      const outcome = { ok: error === null, code: codeOf(error), message: error?.message ?? null, endedAtMs: this.parts.clock.bootMs() };
      this.#news.jobEnded({ job, ...outcome });
      this.#choreEnded({ kind: 'checkpoint', ...outcome });
      this.wake.now();
    };
    this.parts.pg.checkpoint({ timeoutMs: 3600_000 }).then(
      () => finish(null),
      (error: unknown) => finish(ensureError(error)),
    );
  }
}
