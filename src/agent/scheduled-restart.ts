/**
 * The one restart that an operator has scheduled for later. It is run once, at its time: not in a
 * pause, not long after its time, and not where PostgreSQL was restarted since it was asked for.
 */
import { awaitedRestart } from '../core/awaiting.ts';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import { outcomeText, type RequestOutcome, type RestartRequest } from '../ports/operator.ts';
import type { JsonObject } from '../support/json.ts';
import type { RoundsView } from './rounds.ts';

interface SchedulePorts {
  readonly clock: Pick<Clock, 'wallMs' | 'timer'>;
  readonly log: Pick<Log, 'info' | 'warning'>;
}

/** Timers count short spans only, and the wall clock may be set: look again this often. */
const LOOK_MS = 60_000;
/** Of loop_wait: how late it may be run. */
const LATE_SHARE = 1.5;

interface Scheduled {
  readonly data: JsonObject;
  readonly request: RestartRequest;
  readonly atMs: number;
}

export class ScheduledRestart {
  readonly #ports: SchedulePorts;
  readonly #rounds: Pick<RoundsView, 'last'>;
  readonly #restart: (request: RestartRequest) => Promise<RequestOutcome>;
  #scheduled: Scheduled | null = null;
  #cancel: () => void = () => {};

  constructor(
    ports: SchedulePorts,
    rounds: Pick<RoundsView, 'last' | 'onEnd'>,
    restart: (request: RestartRequest) => Promise<RequestOutcome>,
  ) {
    this.#ports = ports;
    this.#rounds = rounds;
    this.#restart = restart;
    rounds.onEnd(() => this.#look());
  }

  /** As it was asked for; null: none is scheduled. */
  get data(): JsonObject | null {
    return this.#scheduled?.data ?? null;
  }

  /** In words; null: none is scheduled, or its time has come. */
  get awaited(): string | null {
    if (this.#scheduled === null) return null;
    const { atMs, data } = this.#scheduled;
    const inMs = atMs - this.#ports.clock.wallMs();
    return inMs <= 0 ? null : awaitedRestart(String(data['schedule'] ?? ''), inMs);
  }

  /** False when one is scheduled already. */
  schedule(data: JsonObject, request: RestartRequest, atMs: number): boolean {
    if (this.#scheduled !== null) return false;
    this.#scheduled = { data, request, atMs };
    this.#arm(atMs);
    return true;
  }

  /** False when there is none. */
  delete(): boolean {
    if (this.#scheduled === null) return false;
    this.#cancel();
    this.#scheduled = null;
    return true;
  }

  #arm(atMs: number): void {
    const { clock } = this.#ports;
    this.#cancel = clock.timer(Math.max(0, Math.min(LOOK_MS, atMs - clock.wallMs())), () => {
      if (clock.wallMs() < atMs) this.#arm(atMs);
      else this.#look();
    });
  }

  /** After every round, and at its time. In a pause the rounds go on looking. */
  #look(): void {
    const { clock, log } = this.#ports;
    const { last } = this.#rounds;
    if (this.#scheduled === null) return;
    const { data, request, atMs } = this.#scheduled;
    const lateMs = clock.wallMs() - atMs;
    const restarted = this.#wasRestarted(data);
    if (!restarted && (lateMs < 0 || last === null || last.observation.settings.dynamic.pause)) return;
    this.delete();
    const lateSeconds = Math.round(lateMs / 1000);
    const why = restarted
      ? 'PostgreSQL was restarted meanwhile'
      : lateMs > (last?.observation.settings.dynamic.loopWaitSeconds ?? 0) * 1000 * LATE_SHARE
        ? `it was due ${lateSeconds} s ago, in a pause or while this machine stood still`
        : null;
    if (why !== null) log.info(`scheduled restart: dropped, because ${why}`);
    else void this.#restart(request).then((outcome) => log.info(`scheduled restart: ${outcomeText(outcome)}`));
  }

  /** Since the restart was scheduled. False as well where one of the two moments is not known. */
  #wasRestarted({ postmaster_start_time: before }: JsonObject): boolean {
    const now = this.#rounds.last?.observation.pg.sql?.postmasterStartTime;
    return typeof before === 'string' && now !== undefined && now !== before;
  }
}
