/**
 * The guard of one data directory: a process of its own on the machine. It stops PostgreSQL when
 * its deadline has passed, with or without an agent.
 */

import { type Clock, sleep } from '../../src/ports/clock.ts';
import type { Guard, Watchdog } from '../../src/ports/guard.ts';
import { RegentError } from '../../src/support/errors.ts';
import type { Gate, MachineClock, Simulation } from './clock.ts';
import type { ServerProcess } from './postgres/process.ts';
import type { SimServer } from './server.ts';

/** From firing until the last process is dead: SIGQUIT, and SIGKILL 250 ms later. */
export const GUARD_KILL_MS = 250;
const FIRED_NAP_MS = 75;

export class GuardProcess {
  readonly #sim: Simulation;
  #machine: MachineClock;
  readonly #gate: () => Gate;
  readonly #server: SimServer;
  alive = false;
  deadlineMs: number | null = null;
  fired = false;
  fires = 0;
  /** Fault: it does not answer the agent, but still keeps its deadline. */
  mute = false;
  /** When it last began to answer again, after it was mute or stood still. */
  heardAgainAt = Number.NEGATIVE_INFINITY;
  /** Fault: it cannot be started again. */
  unstartable = false;
  /** Fault: it stands still, and looks at its deadline only when it goes on. */
  #frozen = false;
  readonly onDeath = new Set<() => void>();
  /** It is told to rest; it stops PostgreSQL. Called before anything comes of it. */
  readonly onRest = new Set<() => void>();
  readonly onFire = new Set<() => void>();
  startedAt = Number.NEGATIVE_INFINITY;
  #order = 0;
  /**
   * The postmaster that the kernel stops when the last of guard and agent is gone: one that runs
   * while the guard is armed. That outlives the guard.
   */
  #tethered: ServerProcess | null = null;
  /** By the last order that a guard here has taken, this one or one before it. */
  toldToRest = true;
  #takeBack: () => void = () => {};

  constructor(sim: Simulation, machine: MachineClock, gate: () => Gate, server: SimServer) {
    this.#sim = sim;
    this.#machine = machine;
    this.#gate = gate;
    this.#server = server;
  }

  /** The machine was off and its boot clock begins again. */
  rebooted(machine: MachineClock): void {
    this.#machine = machine;
  }

  start(): void {
    if (this.alive) return;
    this.alive = true;
    this.startedAt = this.#sim.now;
    this.deadlineMs = null;
    this.fired = false;
  }

  /** An agent that ends in good order sends it away. PostgreSQL goes on, if it runs. */
  end(): void {
    this.#tethered = null;
    this.toldToRest = true;
    this.deadlineMs = null;
    this.die();
  }

  die(): void {
    this.alive = false;
    if (this.deadlineMs !== null) this.#tethered = this.#server.process;
    this.#order += 1;
    this.deadlineMs = null;
    this.fired = false;
    for (const listener of [...this.onDeath]) listener();
  }

  /** False when the moment has passed already: it then fires at once. */
  arm(deadlineMs: number): boolean {
    this.toldToRest = false;
    this.deadlineMs = deadlineMs;
    this.fired = false;
    this.#order += 1;
    const order = this.#order;
    this.#takeBack();
    this.#takeBack = this.#sim.at(this.#machine.trueTimeOf(deadlineMs), () => this.#gate().deliver('timer', () => this.#fire(order)));
    return this.#machine.bootMs() < deadlineMs;
  }

  /** Guard and agent are both gone. */
  pullTether(): void {
    const { process, parts } = this.#server;
    if (this.alive || process === null || process !== this.#tethered) return;
    parts.trace(`${this.#server.name} has neither guard nor agent`);
    this.#tethered = null;
    this.#quit(process);
  }

  /** SIGQUIT: a postmaster that stands still takes it when it goes on. */
  #quit(process: ServerProcess): void {
    if (this.#server.process !== process) return;
    if (this.#server.hangs) this.#sim.after(FIRED_NAP_MS, () => this.#quit(process));
    else this.#server.stopImmediate(GUARD_KILL_MS);
  }

  disarm(): void {
    this.#tethered = null;
    this.toldToRest = true;
    for (const listener of this.onRest) listener();
    this.#order += 1;
    this.deadlineMs = null;
    this.fired = false;
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  freeze(): void {
    this.#frozen = true;
  }

  thaw(): void {
    if (!this.#frozen) return;
    this.#frozen = false;
    this.heardAgainAt = this.#sim.now;
    if (this.deadlineMs !== null && this.#machine.bootMs() >= this.deadlineMs) this.#fire(this.#order);
  }

  /** What it fired at is not dead yet. */
  get busy(): boolean {
    return this.fired && this.#server.process !== null;
  }

  #fire(order: number): void {
    if (!this.alive || this.#frozen || order !== this.#order) return;
    if (!this.fired) this.#server.parts.trace(`${this.#server.name} guard fired`);
    if (!this.fired) for (const listener of this.onFire) listener();
    if (!this.fired) this.fires += 1;
    this.fired = true;
    this.#server.stopImmediate(GUARD_KILL_MS);
    this.#sim.after(FIRED_NAP_MS, () => this.#gate().deliver('timer', () => this.#fire(order)));
  }
}

const failed = (message: string) => new RegentError('GUARD_FAILED', message, { policy: 'transient' });
const ANSWER_MS = 1;
const BUSY_RETRY_MS = 20;

export function simGuard(guard: GuardProcess, sim: Simulation, gate: Gate, clock: Clock): Guard & { detach(): void } {
  const listeners: Array<() => void> = [];
  const died = () => void sim.after(ANSWER_MS, () => gate.deliver('message', () => listeners.map((listener) => listener())));
  guard.onDeath.add(died);
  const order = async <T>(timeoutMs: number, give: () => T): Promise<T> => {
    const deadline = clock.monotonicMs() + timeoutMs;
    for (;;) {
      await sleep(clock, ANSWER_MS);
      if (guard.alive && !guard.mute && !guard.frozen && !guard.busy) return give();
      if (!guard.alive && !guard.unstartable) guard.start();
      if (clock.monotonicMs() + BUSY_RETRY_MS >= deadline) throw failed('the guard does not answer');
      await sleep(clock, BUSY_RETRY_MS);
    }
  };
  return {
    open: async () => {
      await sleep(clock, 5);
      if (guard.unstartable && !guard.alive) throw failed('the guard cannot be started');
      guard.start();
    },
    arm: async (deadlineBootMs, { timeoutMs }) => {
      if (!(await order(timeoutMs, () => guard.arm(deadlineBootMs)))) throw failed('the deadline given to the guard has passed already');
    },
    deadline: ({ timeoutMs }) => order(timeoutMs, () => guard.deadlineMs),
    disarm: ({ timeoutMs }) => order(timeoutMs, () => guard.disarm()),
    onGone: (listener) => void listeners.push(listener),
    get tethered() {
      return guard.alive && guard.deadlineMs !== null;
    },
    close: async ({ end }) => {
      if (end && guard.alive) guard.end();
    },
    detach: () => guard.onDeath.delete(died),
  };
}

/** A machine without a device. */
export const noWatchdog: Watchdog = {
  active: false,
  healthy: () => true,
  activate: async () => false,
  keepAlive: async () => undefined,
  disable: async () => undefined,
};
