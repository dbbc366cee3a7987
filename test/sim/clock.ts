/**
 * Virtual time. One heap of events, ordered by time and then by the order in which they were asked
 * for. Between two events every promise that can settle has settled, so that a run depends on
 * nothing but its seed.
 */
import process from 'node:process';
import type { Clock } from '../../src/ports/clock.ts';
import type { Rng } from './rng.ts';
import { TraceHash } from './trace-hash.ts';

/** 2026-01-01, the moment every simulation begins. */
export const EPOCH_MS = 1_767_225_600_000;

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
  /** Where it is in the heap; -1: not there any more. */
  index: number;
}

/**
 * Runs what promises have ready, until there is nothing left, however long their chains are. Node
 * does the same after each of its own callbacks and offers it under this name only. A turn of
 * Node's event loop for every event would cost more than all that happens in it.
 */
const settle = (process as unknown as { _tickCallback: () => void })._tickCallback;

/**
 * Node's own timers and messages (a test's time limit, a worker's reports) get a turn this often,
 * counted in events.
 */
const BREATH_EVENTS = 100_000;

export class Simulation {
  /** True time, ms since the simulation began. No machine can read it. */
  now = 0;
  /** Runs after every event, once all promises have settled: the place for checkers. */
  readonly afterEvent: Array<() => void> = [];
  /**
   * Called when the circumstances have changed: which machines reach each other, which stand still,
   * what hangs. So nobody has to look at them again and again.
   */
  readonly onDisturbance = new Set<() => void>();
  /** How often they have. */
  disturbances = 0;
  /** Over the time of every event, and whatever else is told to it. */
  readonly hash = new TraceHash();
  events = 0;
  #order = 0;
  #heap: Event[] = [];
  #unsettled = true;

  /** Returns what takes it back. */
  after(ms: number, run: () => void): () => void {
    return this.at(this.now + Math.max(0, ms), run);
  }

  at(time: number, run: () => void): () => void {
    const event: Event = { at: Math.max(time, this.now), order: this.#order, run, index: this.#heap.length };
    this.#order += 1;
    this.#heap.push(event);
    up(this.#heap, event);
    return () => remove(this.#heap, event);
  }

  /**
   * A promise was settled or an agent's callback was called, so promises must settle before time
   * goes on.
   */
  touched(): void {
    this.#unsettled = true;
  }

  /** The code that changes such a circumstance calls this. */
  disturbed(): void {
    this.disturbances += 1;
    for (const listener of [...this.onDisturbance]) listener();
  }

  /** Runs until `done` holds (true) or until `limitMs` of virtual time have passed (false). */
  until(done: () => boolean, limitMs: number): Promise<boolean> {
    const end = this.now + limitMs;
    return new Promise((resolve, reject) => {
      // In a turn of its own: promises cannot be settled from within one that is just being
      // settled.
      const turn = () => {
        try {
          const outcome = this.#runUntil(done, end);
          if (outcome === null) setImmediate(turn);
          else resolve(outcome);
        } catch (error) {
          reject(error);
        }
      };
      setImmediate(turn);
    });
  }

  async run(ms: number): Promise<void> {
    await this.until(() => false, ms);
  }

  /** null: not over yet, but Node needs a turn. */
  #runUntil(done: () => boolean, end: number): boolean | null {
    this.#settle();
    for (let left = BREATH_EVENTS; !done(); left -= 1) {
      if (left === 0) return null;
      const next = this.#heap[0];
      if (next === undefined || next.at > end) {
        this.now = end;
        return false;
      }
      takeFirst(this.#heap, next);
      this.now = next.at;
      this.events += 1;
      this.hash.number(next.at);
      next.run();
      this.#settle();
      for (const check of this.afterEvent) check();
    }
    return true;
  }

  #settle(): void {
    if (!this.#unsettled) return;
    this.#unsettled = false;
    settle();
  }
}

const before = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

/** Towards the front, as far as it belongs. */
function up(heap: Event[], event: Event): void {
  let i = event.index;
  while (i > 0) {
    const parent = heap[(i - 1) >> 1]!;
    if (!before(event, parent)) break;
    heap[i] = parent;
    parent.index = i;
    i = (i - 1) >> 1;
  }
  heap[i] = event;
  event.index = i;
}

/** Towards the end. */
function down(heap: Event[], event: Event): void {
  let i = event.index;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1;
    const smaller = heap[child]!;
    if (!before(smaller, event)) break;
    heap[i] = smaller;
    smaller.index = i;
    i = child;
  }
  heap[i] = event;
  event.index = i;
}

function takeFirst(heap: Event[], first: Event): void {
  first.index = -1;
  const last = heap.pop();
  if (last === undefined || last === first) return;
  last.index = 0;
  down(heap, last);
}

function remove(heap: Event[], event: Event): void {
  const at = event.index;
  if (at < 0) return;
  event.index = -1;
  const last = heap.pop();
  if (last === undefined || last === event) return;
  last.index = at;
  up(heap, last);
  down(heap, last);
}

/**
 * Something that can be stopped from running: a process (SIGSTOP, SIGKILL) or a whole machine. What
 * reaches it while it is frozen waits; timers that are due come before messages when it goes on, as
 * in Node's event loop.
 */
export class Gate {
  readonly #sim: Simulation;
  readonly #outer: Gate | null;
  readonly #timers: Array<() => void> = [];
  readonly #messages: Array<() => void> = [];
  #inner: readonly Gate[] = [];
  #frozen = false;
  #dead = false;

  constructor(sim: Simulation, outer: Gate | null) {
    this.#sim = sim;
    this.#outer = outer;
    if (outer !== null) outer.#inner = [...outer.#inner, this];
  }

  get frozen(): boolean {
    return this.#frozen || this.#outer?.frozen === true;
  }

  get dead(): boolean {
    return this.#dead || this.#outer?.dead === true;
  }

  freeze(): void {
    this.#frozen = true;
    this.#sim.disturbed();
  }

  thaw(): void {
    this.#frozen = false;
    this.#release();
    this.#sim.disturbed();
  }

  /** Nothing runs behind it ever again. */
  kill(): void {
    this.#dead = true;
    this.#timers.length = 0;
    this.#messages.length = 0;
    if (this.#outer !== null) this.#outer.#inner = this.#outer.#inner.filter((gate) => gate !== this);
  }

  deliver(kind: 'timer' | 'message', run: () => void): void {
    if (this.dead) return;
    if (this.frozen) (kind === 'timer' ? this.#timers : this.#messages).push(run);
    else this.#pass(run);
  }

  #release(): void {
    if (this.frozen) return;
    for (const run of [...this.#timers.splice(0), ...this.#messages.splice(0)]) this.#sim.after(0, () => this.deliver('message', run));
    for (const gate of this.#inner) gate.#release();
  }

  #pass(run: () => void): void {
    this.#sim.touched();
    run();
  }
}

/** The clocks of one machine. */
export class MachineClock {
  readonly #sim: Simulation;
  /** Machine milliseconds per true millisecond. */
  #rate = 1;
  #bootBase: number;
  #since = 0;
  #suspended = 0;
  #suspendedAt: number | null = null;
  /** Wall clock minus boot clock; steps when an operator or NTP sets the time. */
  wallOffsetMs: number;

  constructor(sim: Simulation, options: { readonly bootMs: number; readonly wallMs: number; readonly rate: number }) {
    this.#sim = sim;
    this.#bootBase = options.bootMs;
    this.#since = sim.now;
    this.#rate = options.rate;
    this.wallOffsetMs = options.wallMs - options.bootMs;
  }

  bootMs(): number {
    return this.#bootBase + (this.#sim.now - this.#since) * this.#rate;
  }

  monotonicMs(): number {
    const now = this.bootMs();
    return now - this.#suspended - (this.#suspendedAt === null ? 0 : now - this.#suspendedAt);
  }

  wallMs(): number {
    return this.bootMs() + this.wallOffsetMs;
  }

  /** True time at which the boot clock will show that moment. */
  trueTimeOf(bootMs: number): number {
    return this.#since + (bootMs - this.#bootBase) / this.#rate;
  }

  /** True milliseconds for so many of this machine's. */
  trueSpan(ms: number): number {
    return ms / this.#rate;
  }

  suspend(): void {
    this.#suspendedAt ??= this.bootMs();
  }

  resume(): void {
    if (this.#suspendedAt === null) return;
    this.#suspended += this.bootMs() - this.#suspendedAt;
    this.#suspendedAt = null;
  }
}

/**
 * The Clock port of one process on a machine. Its timers stand still while the machine is suspended
 * and fire late when the process was frozen.
 */
export function processClock(sim: Simulation, machine: MachineClock, gate: Gate, rng: Rng): Clock {
  const arm = (dueMs: number, callback: () => void): (() => void) => {
    let stopped = false;
    let cancel = () => {};
    const wait = () => {
      const leftMs = dueMs - machine.monotonicMs();
      cancel = sim.after(machine.trueSpan(Math.max(leftMs, 0)), () => gate.deliver('timer', fire));
    };
    const fire = () => {
      if (stopped) return;
      // A microsecond is less than rounding can lose and more than anybody can notice.
      if (machine.monotonicMs() < dueMs - 0.001) return wait();
      stopped = true;
      callback();
    };
    wait();
    return () => {
      stopped = true;
      cancel();
    };
  };
  return {
    bootMs: () => machine.bootMs(),
    monotonicMs: () => machine.monotonicMs(),
    wallMs: () => machine.wallMs(),
    timer: (ms, callback) => arm(machine.monotonicMs() + Math.max(0, ms), callback),
    random: () => rng.next(),
  };
}
