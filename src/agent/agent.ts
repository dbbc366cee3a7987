/**
 * The loop: observe → decide → act, one round at a time. Everything else (watches, the postmaster's
 * end, REST, signals) only wakes it.
 */
import { halfwayAtMs, isGuardHealthy, stepDownAtMs } from '../core/authority.ts';
import { roleAtStop } from '../core/callbacks.ts';
import { contextOf, keyRead } from '../core/context.ts';
import { decide } from '../core/decide.ts';
import type { Job } from '../core/effects.ts';
import type { Announcement, Observation } from '../core/model.ts';
import { roundIntervalMs } from '../core/settings.ts';
import { ensureError, RegentError } from '../support/errors.ts';
import { type ActPorts, act } from './act.ts';
import type { AgentView } from './agent-view.ts';
import { AuthorityCell } from './authority-cell.ts';
import { BackgroundCheckpoint } from './background-checkpoint.ts';
import { BackgroundSlots } from './background-slots.ts';
import { Beats } from './beats.ts';
import { Failsafe } from './failsafe.ts';
import { FailureLog } from './failure-log.ts';
import { Fence } from './fence.ts';
import { FreshFacts } from './fresh-facts.ts';
import { JobSlot } from './job-slot.ts';
import { runJob } from './jobs/run-job.ts';
import { Lease } from './lease.ts';
import { MemberKey } from './member-key.ts';
import { News } from './news.ts';
import { observe } from './observe.ts';
import type { Parts } from './parts.ts';
import { Requests } from './requests.ts';
import { RoundLog } from './round-log.ts';
import { Rounds } from './rounds.ts';
import { ServiceReports } from './service-reports.ts';
import { SettingsVersion } from './settings-version.ts';
import { Tally } from './tally.ts';
import { Wake } from './wake.ts';
import { WatchdogKeeper } from './watchdog-keeper.ts';

/** A round that was asked for again at once must still leave the machine some air. */
const MIN_GAP_MS = 5;
const STANDSTILL_MS = 2000;
const AFTER_FAILURE_MS = 1000;
const LATE_GAP_MS = 20;
/** Another look at what etcd or PostgreSQL refused. */
const RETRY_MS = 200;

export class Agent implements AgentView {
  readonly parts: Parts;
  readonly wake: Wake;
  readonly authority: AuthorityCell;
  readonly rounds = new Rounds();
  readonly fresh: FreshFacts;
  readonly beats: Beats;
  readonly failsafe: Failsafe;
  readonly job: JobSlot;
  readonly requests: Requests;
  readonly settingsVersion: SettingsVersion;
  readonly tally = new Tally();
  readonly #lease: Lease;
  readonly #fence: Fence;
  readonly #watchdog: WatchdogKeeper;
  readonly #checkpoint: BackgroundCheckpoint;
  readonly #slots: BackgroundSlots;
  readonly #memberKey: MemberKey;
  readonly #log: RoundLog;
  readonly #service: ServiceReports;
  readonly #failures: FailureLog;
  readonly #news = new News();
  /** At first, of the agent that ran here before. */
  #syncUnsettled = true;
  #reloadWanted = false;
  #reloaded: () => void = () => {};
  #exitCode: number | null = null;

  constructor(parts: Parts) {
    this.parts = parts;
    this.wake = new Wake(parts.clock);
    this.fresh = new FreshFacts(parts, this.rounds);
    this.authority = new AuthorityCell(parts.clock, parts.settings.current().dynamic.ttlSeconds);
    this.#lease = new Lease(parts.dcs, parts.clock, this.authority);
    this.#watchdog = new WatchdogKeeper(parts);
    this.#fence = new Fence({ ...parts, watchdog: this.#watchdog }, this.authority);
    const wake = () => this.wake.now();
    this.job = new JobSlot(parts, {
      started: (job) => this.requests.jobStarted(job),
      ended: (outcome) => {
        this.#news.jobEnded(outcome);
        this.requests.jobEnded(outcome);
      },
      wake,
    });
    this.requests = new Requests(parts, { rounds: this.rounds, job: this.job, wake });
    this.settingsVersion = new SettingsVersion(parts, wake);
    this.#checkpoint = new BackgroundCheckpoint(parts, (job, chore) => {
      this.#news.jobEnded(job);
      this.#news.choreEnded(chore, this.rounds.memory);
      wake();
    });
    this.#slots = new BackgroundSlots(parts, (outcome, chore) => {
      this.#news.logicalEnded(outcome);
      this.#news.choreEnded(chore, this.rounds.memory);
      wake();
    });
    this.#memberKey = new MemberKey(parts, this.authority);
    this.failsafe = new Failsafe(parts, this.authority, () => void this.#fence.moveOn());
    this.beats = new Beats(parts, this.authority, {
      wake,
      doubt: () => this.wake.leaderInDoubt(),
      vouched: () => void this.#fence.moveOn(),
      agreed: () => this.failsafe.word,
    });
    this.#log = new RoundLog({ ...parts, awaitedRestart: () => this.requests.awaitedRestart });
    this.#service = new ServiceReports(parts);
    this.#failures = new FailureLog(parts.log);
  }

  /** SIGTERM: ends in good order. May be called again; only the first counts. */
  shutdown(): void {
    this.#service.stopping();
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
      void this.#fence.replace().then(() => this.wake.now());
    });
    await parts.guard.open();
    parts.pg.onPostmasterGone(() => this.wake.now());
    this.beats.start();
    const me = parts.settings.local().name;
    const watch = parts.dcs.watch(({ key }) => {
      this.fresh.onKey(key);
      this.wake.onKey(key, me);
    });
    this.#service.start();
    try {
      while (this.#exitCode === null) await this.#turn();
    } finally {
      this.#service.end();
      watch.close();
      this.beats.stop();
      this.failsafe.stop();
      this.#slots.stop();
      this.job.abandon();
    }
    return this.#exitCode;
  }

  async #turn(): Promise<void> {
    const startedAtMs = this.parts.clock.bootMs();
    this.#service.turning();
    if (this.#reloadWanted) this.#takeOverSettings();
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
    if (this.#exitCode !== null) return;
    this.#log.turned(this.parts.clock.bootMs() - startedAtMs);
    const nextAtMs = this.#nextRoundAt(startedAtMs, wakeAtMs);
    this.rounds.ended(this.parts.clock.bootMs(), nextAtMs);
    this.#service.resting(nextAtMs);
    await this.wake.until(nextAtMs);
    this.#noteStandstill(nextAtMs);
  }

  #takeOverSettings(): void {
    this.#reloadWanted = false;
    const over = this.#service.reloading();
    // Unchanged settings may name files that have changed: certificates, what postgresql.conf
    // includes, host names of the allowlist.
    if (this.parts.settings.reload() !== 'refused') {
      this.parts.pg.reloadAsked();
      this.settingsVersion.changed();
      this.#reloaded();
    }
    over();
  }

  /**
   * A leader's next round leaves time to renew, to look at a slow PostgreSQL and to move the
   * guard's deadline on, or to take PostgreSQL down before the guard does.
   */
  #afterFailure(): number {
    const now = this.parts.clock.bootMs();
    const halfway = halfwayAtMs(this.authority.now);
    if (this.rounds.memory.role !== 'primary' || halfway === null) return now + AFTER_FAILURE_MS;
    return Math.max(now + LATE_GAP_MS, Math.min(now + AFTER_FAILURE_MS, halfway));
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
    const regular = startedAtMs + roundIntervalMs(this.parts.settings.current().dynamic, this.rounds.memory.role === 'primary');
    const stepDown = stepDownAtMs(this.authority.now) ?? regular;
    const { retryAtMs } = this.authority.now.guard;
    const dueMs = Math.min(regular, wakeAtMs ?? regular, stepDown > now ? stepDown : regular, retryAtMs ?? regular);
    return Math.max(now + MIN_GAP_MS, dueMs);
  }

  async #round(): Promise<number | null> {
    const { memory } = this.rounds;
    const askedAtMs = this.parts.clock.bootMs();
    const observation = await this.#observe();
    const c = contextOf(observation, memory);
    this.beats.observed(c);
    this.failsafe.observed(c);
    await this.#fence.follow(c);
    // From here to the decision nothing is waited for: what a voter vouches for is known to it.
    const seen = { ...observation, guardHealthy: this.#guardHealthy(), links: this.beats.facts() };
    const decision = decide(seen, memory);
    this.beats.decided(decision);
    this.failsafe.decided(decision);
    this.#log.noteMemory(memory, decision.memory);
    this.tally.note(memory, decision.memory, seen);
    this.rounds.decided(seen, decision, askedAtMs);
    this.wake.watchMembers = decision.watchMembers;
    this.wake.watchStatus = decision.watchStatus;
    const after = contextOf(seen, decision.memory);
    this.#log.say(after, decision);
    this.#log.noteSync(after, decision);
    this.#log.noteSlots(after, decision);
    // What this node is now is what routers and followers wait for: it does not stand behind the
    // round's other writes.
    const [done] = await Promise.all([act(this.#actPorts(), decision), this.#memberKey.publish(this, seen)]);
    if (!done) this.#log.refused(after, decision);
    return done ? decision.wakeAtMs : this.parts.clock.bootMs() + RETRY_MS;
  }

  #guardHealthy(): boolean {
    return isGuardHealthy(this.authority.now, this.parts.clock.bootMs());
  }

  async #observe(): Promise<Observation> {
    const { settingsVersion, authority } = this;
    const { clock, dcs, log, peers, pg, settings, watchdog } = this.parts;
    const news = this.#news.take();
    const { inForce } = settingsVersion;
    let observation: Observation;
    try {
      observation = await observe(
        { clock, dcs, log, peers, pg, settings, watchdog, lease: this.#lease, authority },
        {
          ...news,
          memory: this.rounds.memory,
          job: this.job.running,
          requests: this.requests.open(),
          noteSettings: (seen) => settingsVersion.note(seen, inForce),
          guardHealthy: this.#guardHealthy(),
          links: () => this.beats.facts(),
          syncUnsettled: this.#syncUnsettled,
          untilLeaderChanges: () => this.wake.untilLeaderChanges(),
          cover: (c) => this.#fence.cover(c),
        },
      );
    } catch (error) {
      this.#news.giveBack(news);
      throw error;
    }
    this.#service.sawPostmaster(observation.pg.postmaster?.pid ?? null);
    this.rounds.observed(observation);
    if (observation.dcs.known) {
      this.authority.note(keyRead(observation.dcs.view, observation.settings.local.name));
      this.#log.warnOfMembers(observation.dcs.view);
    }
    return observation;
  }

  #actPorts(): ActPorts {
    const version = this.settingsVersion.current;
    const { clock, dcs, log, pg, settings, watchdog } = this.parts;
    return {
      clock,
      dcs,
      log,
      pg,
      settings,
      watchdog,
      lease: this.#lease,
      fence: this.#fence,
      authority: this.authority,
      startJob: (job) => this.#startJob(job, version),
      cancelJob: (reason) => this.job.cancel(reason),
      checkpoint: () => this.#checkpoint.start(),
      logicalSlots: (work) => this.#slots.start(work),
      exit: (code, message) => this.#exit(code, message),
      configApplied: () => this.settingsVersion.applied(version),
      syncUnsettled: (unsettled) => {
        this.#syncUnsettled = unsettled;
      },
      failsafeWrites: (map, written) => this.failsafe.writes(map, written),
      announce: (announcement) => this.#announce(announcement),
      announceStop: this.#stopTeller(null),
      choreEnded: (outcome) => this.#news.choreEnded({ ...outcome, configVersion: version }, this.rounds.memory),
    };
  }

  #exit(code: number, message: string): void {
    this.#exitCode = code;
    if (code === 0) this.parts.log.info(message);
    else this.parts.log.critical(message);
  }

  /** It counts once the script was started: until then it is asked for again. */
  async #announce(announcement: Announcement): Promise<void> {
    const { action, role } = announcement;
    await this.parts.pg.runCallback(action, role);
    if (action !== 'on_reload') this.#news.announced(announcement);
  }

  /**
   * The role is taken now: when the stop ends, it may be another one. Where the server is down
   * already, nothing is told.
   */
  #stopTeller(job: Job | null): () => Promise<void> {
    const role = roleAtStop(this.rounds.memory, job);
    const isUp = this.rounds.last?.observation.pg.postmaster !== null;
    return async () => {
      if (!isUp) return;
      await this.#announce({ action: 'on_stop', role }).catch((error: unknown) => {
        this.parts.log.warning(`callback on_stop: ${ensureError(error).message}`);
      });
    };
  }

  #startJob(job: Job, version: number): void {
    // A slot that is moved on is in use, and a promoted server’s consumer comes for it.
    this.#slots.stop();
    const { parts, authority } = this;
    const [lease, fence, watchdogKeeper] = [this.#lease, this.#fence, this.#watchdog];
    const configApplied = () => this.settingsVersion.applied(version);
    const announceStop = this.#stopTeller(job);
    this.job.start(job, version, (signs, signal) =>
      runJob({ ...parts, ...signs, authority, lease, fence, watchdogKeeper, configApplied, announceStop }, job, signal),
    );
  }
}
