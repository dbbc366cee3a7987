import type { Clock } from '../ports/clock.ts';
import type { Dcs } from '../ports/dcs.ts';
import type { Log } from '../ports/log.ts';
import { ensureError } from '../support/errors.ts';
import { NEW_ROUTER, type RouterMemory, routerCommands } from './decide.ts';
import type { Haproxy } from './haproxy-socket.ts';

/** How long a new primary is raised against the opinion of HAProxy's checks. */
export const ROUTER_ASSERT_MS = 10_000;
/** One more pass follows each change, because a check in progress may have overruled it. */
const LOOK_AGAIN_MS = 500;
/** Until sessions that were being connected are established, or tried on another server. */
const CUT_AGAIN_MS = 50;
const READ_TIMEOUT_MS = 2000;
const TROUBLED_MS = 1000;
/** The keys of the cluster (with or without the prefix) that say who is primary. */
const ROUTING_KEYS = /(?:^|\/)(?:leader|members\/[^/]+)$/;

export interface RouterOptions {
  readonly dcs: Dcs;
  readonly haproxy: Haproxy;
  readonly clock: Clock;
  readonly log: Log;
  /** How long a new primary is raised against the opinion of HAProxy's checks. */
  readonly assertMs: number;
  readonly reconcileMs: number;
  /** Kept occupied while the router runs. */
  readonly waitingRoom?: { open(): void; renew(): void; close(): void };
  /** Calls back when another process of HAProxy's has taken over. */
  readonly watchReloads?: (onReload: () => void) => { close(): void };
}

export interface Router {
  start(): void;
  /** Leaves HAProxy to its checks. Resolves when nothing is in progress. */
  stop(): Promise<void>;
}

/**
 * Runs one pass after the other: read etcd and HAProxy, decide, tell HAProxy. A change in etcd
 * starts a pass at once. Otherwise a pass runs every reconcileMs.
 */
export function createRouter(options: RouterOptions): Router {
  return new RouterLoop(options);
}

class RouterLoop implements Router {
  readonly #options: RouterOptions;
  #memory: RouterMemory = NEW_ROUTER;
  #watch: { close(): void } | null = null;
  #reloads: { close(): void } | null = null;
  #cancelTimer: () => void = () => undefined;
  #running: Promise<void> | null = null;
  #again = false;
  #stopped = false;
  readonly #troubles = new Map<string, string>();

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  start(): void {
    this.#watch = this.#options.dcs.watch(({ key }) => {
      if (key === null || ROUTING_KEYS.test(key)) this.#wake();
    });
    const { log, waitingRoom, watchReloads } = this.#options;
    const reloaded = () => {
      log.info('HAProxy has a new process, which is told everything again');
      this.#wake();
      waitingRoom?.renew();
    };
    this.#reloads = watchReloads?.(reloaded) ?? null;
    waitingRoom?.open();
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#watch?.close();
    this.#reloads?.close();
    this.#options.waitingRoom?.close();
    this.#cancelTimer();
    await this.#running;
  }

  #wake(): void {
    if (this.#stopped) return;
    this.#again = true;
    this.#running ??= this.#passes().finally(() => {
      this.#running = null;
    });
  }

  async #passes(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      this.#cancelTimer();
      const delayMs = await this.#pass();
      if (!this.#stopped) this.#cancelTimer = this.#options.clock.timer(delayMs, () => this.#wake());
    }
  }

  /**
   * Returns the milliseconds until the next pass. Without a fresh view of etcd it tells HAProxy
   * nothing, and the checks decide.
   */
  async #pass(): Promise<number> {
    const { haproxy, dcs, clock, log, assertMs, reconcileMs } = this.#options;
    const [view, state] = await Promise.all([
      this.#attempt('etcd', () => dcs.read({ timeoutMs: READ_TIMEOUT_MS })),
      this.#attempt('haproxy', () => haproxy.state()),
    ]);
    if (!view || !state) return Math.min(reconcileMs, TROUBLED_MS);
    const decision = routerCommands({ view, haproxy: state, memory: this.#memory, assertMs, monotonicMs: clock.monotonicMs() });
    const { commands, because } = decision;
    if (because) log.info(because, { commands: commands.map(({ kind, server }) => `${kind} ${server}`).join(', ') });
    if (commands.length === 0) {
      this.#memory = decision.memory;
      return reconcileMs;
    }
    const done = await this.#attempt('haproxy', () => haproxy.run(commands));
    if (done !== null) this.#memory = decision.memory;
    return Math.min(reconcileMs, done === false ? CUT_AGAIN_MS : LOOK_AGAIN_MS);
  }

  /**
   * Null on failure. Each kind of failure is logged when it starts, when its cause changes, and
   * when it ends.
   */
  async #attempt<T>(about: string, action: () => Promise<T>): Promise<T | null> {
    try {
      const value = await action();
      if (this.#troubles.delete(about)) this.#options.log.info(`${about} answers again`);
      return value;
    } catch (error) {
      const { message } = ensureError(error);
      if (this.#troubles.get(about) !== message) this.#options.log.warning(message);
      this.#troubles.set(about, message);
      return null;
    }
  }
}
