/** Workers that simulate, one run at a time each. */
import { Worker } from 'node:worker_threads';
import { RegentError } from '../../src/support/errors.ts';
import type { Plan } from '../../test/sim/plan.ts';
import type { Focus } from '../../test/sim/zoo/focus.ts';
import type { Answer, Request, Result } from './protocol.ts';

/**
 * A run that takes longer than this is in a loop that never ends: it is given up, and its worker
 * with it.
 */
export const RUN_LIMIT_MS = 120_000;

interface Task {
  readonly run: Request['run'];
  readonly trace: boolean;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
}

interface Hand {
  readonly worker: Worker;
  task: Task | null;
  deadline: NodeJS.Timeout | null;
}

const closed = () => new RegentError('SIM_CLOSED', 'the simulation was called off', { policy: 'transient' });

export class Pool {
  readonly #code: string;
  readonly #limitMs: number;
  readonly #hands = new Set<Hand>();
  readonly #queue: Task[] = [];
  #nextId = 1;
  #closed = false;

  constructor(code: string, jobs: number, limitMs = RUN_LIMIT_MS) {
    this.#code = code;
    this.#limitMs = limitMs;
    for (let i = 0; i < jobs; i += 1) this.#hire();
  }

  get jobs(): number {
    return this.#hands.size;
  }

  /**
   * Rejects with SIM_HUNG, SIM_WORKER or SIM_CLOSED; what happens inside a run is part of its
   * outcome.
   */
  seed(seed: number, options: { readonly trace?: boolean; readonly focus?: Focus } = {}): Promise<Result> {
    const { trace = false, focus } = options;
    return this.#add(focus === undefined ? { seed } : { seed, focus }, trace);
  }

  plan(plan: Plan, options: { readonly trace?: boolean } = {}): Promise<Result> {
    return this.#add({ plan }, options.trace ?? false);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const task of this.#queue.splice(0)) task.reject(closed());
    const hands = [...this.#hands];
    this.#hands.clear();
    await Promise.all(hands.map((hand) => this.#dismiss(hand, closed())));
  }

  #add(run: Request['run'], trace: boolean): Promise<Result> {
    if (this.#closed) return Promise.reject(closed());
    return new Promise((resolve, reject) => {
      this.#queue.push({ run, trace, resolve, reject });
      this.#assign();
    });
  }

  #hire(): void {
    const worker = new Worker(this.#code, { eval: true, execArgv: ['--enable-source-maps'] });
    const hand: Hand = { worker, task: null, deadline: null };
    this.#hands.add(hand);
    worker.on('message', (answer: Answer) => this.#answered(hand, answer));
    worker.on('error', (error) => this.#lost(hand, new RegentError('SIM_WORKER', `a worker failed: ${error.message}`, { cause: error })));
    worker.on('exit', (code) => this.#lost(hand, new RegentError('SIM_WORKER', `a worker ended with ${code}`)));
    worker.unref();
  }

  #assign(): void {
    for (const hand of this.#hands) {
      if (hand.task !== null) continue;
      const task = this.#queue.shift();
      if (task === undefined) return;
      hand.task = task;
      hand.worker.ref();
      hand.deadline = setTimeout(() => this.#hung(hand), this.#limitMs);
      const request: Request = { id: this.#nextId, run: task.run, trace: task.trace };
      this.#nextId += 1;
      hand.worker.postMessage(request);
    }
  }

  #answered(hand: Hand, answer: Answer): void {
    const task = this.#release(hand);
    if ('result' in answer) task?.resolve(answer.result);
    else task?.reject(new RegentError('SIM_WORKER', answer.error));
    this.#assign();
  }

  #release(hand: Hand): Task | null {
    const { task } = hand;
    if (hand.deadline !== null) clearTimeout(hand.deadline);
    hand.deadline = null;
    hand.task = null;
    hand.worker.unref();
    return task;
  }

  #hung(hand: Hand): void {
    this.#lost(hand, new RegentError('SIM_HUNG', `the run did not end within ${this.#limitMs / 1000} s of real time`));
  }

  /** This worker is of no use any more; another takes its place. */
  #lost(hand: Hand, error: Error): void {
    if (!this.#hands.delete(hand)) return;
    void this.#dismiss(hand, error);
    this.#hire();
    this.#assign();
  }

  async #dismiss(hand: Hand, error: Error): Promise<void> {
    this.#release(hand)?.reject(error);
    await hand.worker.terminate();
  }
}
