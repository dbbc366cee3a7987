/**
 * One call over many endpoints under one deadline.
 *
 * The best endpoint is asked first. If it has not answered after a fraction of the time, the next
 * one is asked as well, and the first is left running. So a slow cluster still gets its whole time,
 * and a dead or frozen member costs only the fraction. After an endpoint that fails at once, the
 * next is asked at once. When all have failed, they are asked again after a growing pause, until
 * the deadline.
 *
 * An endpoint that stays silent is asked again, on another connection, beside the first request:
 * once a second, in a short call three times. After a network was cut for some seconds, TCP repeats
 * on the old connections only after a pause as long as the cut, and the repetition is answered at
 * once. At most two requests are under way at one endpoint: a repetition replaces the one before,
 * the first is left its whole time.
 *
 * So several copies of a request may be under way. The sender of a write must be able to tell from
 * the answer whether an earlier copy took effect. `maybeApplied` says that there was one whose fate
 * is not known.
 */
import type { Clock } from '../../ports/clock.ts';
import { ensureError } from '../../support/errors.ts';

export type Attempt<T> =
  /** `maybeApplied`: the one who answered knows of another copy that may have taken effect. */
  | { readonly kind: 'answer'; readonly value: T; readonly maybeApplied?: boolean }
  /**
   * Another endpoint may do better. `applied: 'no'` only when the request certainly took no effect.
   */
  | { readonly kind: 'failed'; readonly applied: 'no' | 'maybe'; readonly reason: string };

export interface RaceOptions<T> {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Best first; asked again for every launch, as the list may change meanwhile. */
  readonly endpoints: () => readonly string[];
  /** It failed when it was asked last: the next one does not wait for it long. */
  readonly isDoubtful?: (endpoint: string) => boolean;
  /**
   * Must settle soon after the signal aborts. A rejection counts as failed with an unknown effect.
   */
  readonly attempt: (endpoint: string, signal: AbortSignal) => Promise<Attempt<T>>;
  readonly onFailed: (endpoint: string, reason: string) => void;
  /** Ends the race at once, as a timeout. */
  readonly abandon: AbortSignal;
}

export type RaceResult<T> =
  | { readonly kind: 'answer'; readonly value: T; readonly endpoint: string; readonly maybeApplied: boolean }
  | { readonly kind: 'timeout'; readonly reasons: ReadonlyMap<string, string>; readonly maybeApplied: boolean };

const STAGGER_MAX_MS = 400;
const STAGGER_DOUBTFUL_MS = 50;
const REPEAT_MAX_MS = 1000;
/** So often a silent endpoint is asked in a call shorter than three seconds. */
const REPEATS_IN_SHORT_CALL = 3;
const PAUSE_FIRST_MS = 25;
const PAUSE_MAX_MS = 400;

/** Never rejects. */
export function race<T>(options: RaceOptions<T>): Promise<RaceResult<T>> {
  return new Promise((resolve) => new Race(options, resolve).start());
}

interface UnderWay {
  readonly controller: AbortController;
  readonly askedAtMs: number;
}

class Race<T> {
  readonly #options: RaceOptions<T>;
  readonly #settle: (result: RaceResult<T>) => void;
  readonly #repeatMs: number;
  /** Of each endpoint the first request without an answer, and its newest repetition. */
  readonly #running = new Map<string, readonly UnderWay[]>();
  readonly #reasons = new Map<string, string>();
  #tried = new Set<string>();
  #round = 0;
  #maybeApplied = false;
  #done = false;
  #cancelPlan: () => void = () => {};
  #cancelDeadline: () => void = () => {};

  constructor(options: RaceOptions<T>, settle: (result: RaceResult<T>) => void) {
    this.#options = options;
    this.#settle = settle;
    this.#repeatMs = Math.min(REPEAT_MAX_MS, options.timeoutMs / REPEATS_IN_SHORT_CALL);
  }

  start(): void {
    this.#cancelDeadline = this.#options.clock.timer(Math.max(0, this.#options.timeoutMs), () => this.#giveUp());
    if (this.#options.abandon.aborted) this.#giveUp();
    else this.#options.abandon.addEventListener('abort', this.#giveUp, { once: true });
    this.#step();
  }

  /** Asks the next endpoint of this round and plans what follows if it stays silent. */
  #step(): void {
    if (this.#done) return;
    const next = this.#untried()[0];
    if (next !== undefined) {
      this.#tried.add(next);
      void this.#run(next);
    }
    if (this.#untried().length > 0) this.#plan(this.#staggerMs(next), () => this.#step());
    else this.#plan(this.#pauseMs(), () => this.#newRound());
  }

  #newRound(): void {
    this.#tried = new Set();
    this.#round++;
    this.#step();
  }

  /** Those of this round that may be asked now, the best first. */
  #untried(): string[] {
    return this.#options.endpoints().filter((endpoint) => !this.#tried.has(endpoint) && this.#mayAsk(endpoint));
  }

  #mayAsk(endpoint: string): boolean {
    const newest = this.#running.get(endpoint)?.at(-1);
    return newest === undefined || this.#options.clock.monotonicMs() - newest.askedAtMs >= this.#repeatMs;
  }

  #plan(ms: number, then: () => void): void {
    this.#cancelPlan();
    this.#cancelPlan = this.#options.clock.timer(ms, then);
  }

  #staggerMs(asked: string | undefined): number {
    const isDoubtful = this.#options.isDoubtful ?? (() => false);
    const quick = asked !== undefined && isDoubtful(asked) && this.#untried().some((other) => !isDoubtful(other));
    return Math.min(quick ? STAGGER_DOUBTFUL_MS : STAGGER_MAX_MS, this.#options.timeoutMs / (this.#options.endpoints().length + 1));
  }

  #pauseMs(): number {
    const pause = Math.min(PAUSE_MAX_MS, PAUSE_FIRST_MS * 2 ** Math.min(10, this.#round));
    return pause * (0.75 + this.#options.clock.random() / 2);
  }

  async #run(endpoint: string): Promise<void> {
    const underWay = this.#enter(endpoint);
    const result = await this.#options
      .attempt(endpoint, underWay.controller.signal)
      .catch((error): Attempt<T> => ({ kind: 'failed', applied: 'maybe', reason: ensureError(error).message }));
    if (this.#done || !this.#leave(endpoint, underWay)) return;
    if (result.kind === 'failed') {
      if (result.applied === 'maybe') this.#maybeApplied = true;
      this.#reasons.set(endpoint, result.reason);
      this.#options.onFailed(endpoint, result.reason);
      if (this.#untried().length > 0) this.#step();
      return;
    }
    const silent = [...this.#running.keys()];
    const maybeApplied = this.#maybeApplied || silent.length > 0 || result.maybeApplied === true;
    this.#finish({ kind: 'answer', value: result.value, endpoint, maybeApplied });
    // An endpoint that was asked and is still silent is slower than a fraction of the call, so it
    // goes behind the others.
    for (const other of silent) if (other !== endpoint) this.#options.onFailed(other, `slower than ${endpoint}`);
  }

  /** Gives up the repetition before, whose fate is then not known. */
  #enter(endpoint: string): UnderWay {
    const [first, repetition] = this.#running.get(endpoint) ?? [];
    const next = { controller: new AbortController(), askedAtMs: this.#options.clock.monotonicMs() };
    this.#running.set(endpoint, first === undefined ? [next] : [first, next]);
    if (repetition !== undefined) {
      this.#maybeApplied = true;
      repetition.controller.abort();
    }
    return next;
  }

  /** False: another one has replaced it. */
  #leave(endpoint: string, ended: UnderWay): boolean {
    const before = this.#running.get(endpoint) ?? [];
    const left = before.filter((one) => one !== ended);
    if (left.length > 0) this.#running.set(endpoint, left);
    else this.#running.delete(endpoint);
    return left.length < before.length;
  }

  #giveUp = (): void => {
    if (this.#done) return;
    const silent = [...this.#running.keys()];
    for (const endpoint of silent) this.#reasons.set(endpoint, 'no answer in time');
    this.#finish({ kind: 'timeout', reasons: this.#reasons, maybeApplied: this.#maybeApplied || silent.length > 0 });
    for (const endpoint of silent) this.#options.onFailed(endpoint, 'no answer in time');
  };

  #finish(result: RaceResult<T>): void {
    this.#done = true;
    this.#cancelPlan();
    this.#cancelDeadline();
    this.#options.abandon.removeEventListener('abort', this.#giveUp);
    this.#settle(result);
    for (const { controller } of [...this.#running.values()].flat()) controller.abort();
  }
}
