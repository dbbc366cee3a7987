/** The parent's side of the benchmark's client. */
import { type ChildProcess, fork } from 'node:child_process';
import { nowMs } from './now.ts';
import { type Ack, type Failure, isCalm, type Outage, outageOf } from './outage.ts';
import type { Report } from './writer-process.ts';

export class Writer {
  readonly #child: ChildProcess;
  readonly #acks: Ack[] = [];
  readonly #failures: Failure[] = [];
  readonly #lost = new Set<number>();
  #lastError: string | null = null;
  #ended = false;

  /** `entry`: the bundle's, as this user can run it. Rows get numbers from `firstId` on. */
  constructor(entry: string, port: number, firstId: number) {
    this.#child = fork(entry, ['bench', 'writer', String(port), String(firstId)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: [],
    });
    this.#child.on('message', (report: Report) => {
      this.#acks.push(...report.acks);
      this.#failures.push(...report.failures);
      this.#lastError = report.lastError ?? this.#lastError;
    });
    this.#child.on('error', () => undefined);
    this.#child.on('exit', () => {
      this.#ended = true;
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  get lastError(): string | null {
    return this.#lastError;
  }

  /** Ids of all rows that were acknowledged and are not known to be lost. */
  acknowledged(): readonly number[] {
    return this.#acks.map(([id]) => id).filter((id) => !this.#lost.has(id));
  }

  /** Returns how many. */
  markLost(ids: readonly number[]): number {
    for (const id of ids) this.#lost.add(id);
    return ids.length;
  }

  /** Whether one was acknowledged by the server on that port after that moment. */
  wroteTo(port: number, sinceMs: number): boolean {
    return this.#acks.some(([, atMs, by]) => by === port && atMs > sinceMs);
  }

  isCalm(calmMs: number): boolean {
    return isCalm(this.#acks, this.#failures, nowMs(), calmMs);
  }

  outage(eventMs: number): Outage {
    return outageOf(this.#acks, this.#failures, eventMs, nowMs());
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}
