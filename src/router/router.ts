import type { ClusterView } from '../core/cluster.ts';
import type { Clock } from '../ports/clock.ts';
import type { Dcs } from '../ports/dcs.ts';
import type { Log } from '../ports/log.ts';
import { ensureError } from '../support/errors.ts';
import { type HaproxyState, NEW_ROUTER, type RouterCommand, type RouterLimits, type RouterMemory, routerCommands } from './decide.ts';
import type { Haproxy, HaproxyNames } from './haproxy-socket.ts';
import type { Releaser } from './releaser.ts';

/** A look after each change, for a check already under way may have overruled it. */
const LOOK_AGAIN_MS = 500;
const READ_TIMEOUT_MS = 2000;
/** The keys of the cluster (with or without the prefix) that say who is primary. */
const ROUTING_KEYS = /(?:^|\/)(?:leader|failover|members\/[^/]+)$/;

export interface RouterOptions {
  readonly dcs: Dcs;
  readonly haproxy: Haproxy;
  readonly releaser: Releaser;
  readonly clock: Clock;
  readonly log: Log;
  readonly names: HaproxyNames;
  readonly limits: RouterLimits;
  readonly reconcileMs: number;
}

export interface Router {
  start(): void;
  /** Lets waiting clients go and leaves HAProxy to its checks. */
  stop(): Promise<void>;
}

/** One pass after the other: read etcd and HAProxy, decide, tell HAProxy. A change in etcd starts a pass at once, else one comes every reconcileMs. */
export function createRouter(options: RouterOptions): Router {
  return new RouterLoop(options);
}

class RouterLoop implements Router {
  readonly #options: RouterOptions;
  #memory: RouterMemory = NEW_ROUTER;
  #watch: { close(): void } | null = null;
  #cancelTimer: () => void = () => undefined;
  #running: Promise<void> | null = null;
  #again = false;
  #stopped = false;
  readonly #troubles = new Map<string, string>();

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#options.limits.holdMs > 0) this.#options.releaser.prepare();
    this.#watch = this.#options.dcs.watch(({ key }) => {
      if (key === null || ROUTING_KEYS.test(key)) this.#wake();
    });
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#watch?.close();
    this.#cancelTimer();
    await this.#running;
    const { hold } = this.#memory;
    if (hold) await this.#attempt('haproxy', () => this.#run([{ kind: 'release', limit: hold.limit }]));
    this.#options.releaser.close();
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

  /** Returns when to look again, in milliseconds. */
  async #pass(): Promise<number> {
    const { haproxy, dcs, clock, names, limits, log, reconcileMs } = this.#options;
    const [view, state] = await Promise.all([
      this.#attempt<ClusterView>('etcd', () => dcs.read({ timeoutMs: READ_TIMEOUT_MS })),
      this.#attempt<HaproxyState>('haproxy', () => haproxy.state(names)),
    ]);
    if (!state) return Math.min(reconcileMs, 1000);
    const input = { view, haproxy: state, memory: this.#memory, limits, monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
    const decision = routerCommands(input);
    if (decision.because) log.info(decision.because, { commands: decision.commands.map(describe).join(', ') });
    const done = decision.commands.length === 0 || (await this.#attempt('haproxy', () => this.#run(decision.commands)));
    if (done === null) return Math.min(reconcileMs, LOOK_AGAIN_MS);
    this.#memory = done === 'not held' ? { ...decision.memory, hold: null } : decision.memory;
    if (this.#memory.hold) return Math.max(1, Math.min(reconcileMs, this.#memory.hold.sinceMs + limits.holdMs - clock.monotonicMs()));
    return decision.commands.length > 0 ? Math.min(reconcileMs, LOOK_AGAIN_MS) : reconcileMs;
  }

  /** 'not held': everything was done except the hold, which nobody could have lifted in our stead. */
  async #run(commands: readonly RouterCommand[]): Promise<'done' | 'not held'> {
    const { haproxy, releaser, names } = this.#options;
    const wish = commands.find((command) => command.kind === 'hold');
    const held = wish !== undefined && (await releaser.arm(names.frontend, wish.limit));
    const allowed = held ? commands : commands.filter((command) => command.kind !== 'hold');
    if (allowed.length > 0) await haproxy.run(names, allowed);
    if (commands.some((command) => command.kind === 'release')) await releaser.disarm();
    return wish !== undefined && !held ? 'not held' : 'done';
  }

  /** null on failure. Each kind of trouble is told when it begins, when it changes, and when it is over. */
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

function describe(command: RouterCommand): string {
  return 'server' in command ? `${command.kind} ${command.server}` : command.kind;
}
