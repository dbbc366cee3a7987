/** What the rounds of this agent have come to: the last one, what it left to remember, how many. */
import { type Decision, emptyMemory, type Memory, type Observation } from '../core/model.ts';
import type { DroppedRequest } from '../ports/operator.ts';
import { droppedRequest } from './dropped-request.ts';

export interface LastRound {
  readonly observation: Observation;
  readonly decision: Decision;
  /** PostgreSQL and etcd were asked at this moment or later. */
  readonly askedAtMs: number;
  readonly endedAtMs: number;
  readonly nextAtMs: number;
}

export type RoundsView = Pick<Rounds, 'last' | 'lastRead' | 'memory' | 'count' | 'droppedRequest' | 'onEnd'>;

export class Rounds {
  readonly #listeners = new Set<() => void>();
  #last: LastRound | null = null;
  #lastRead: { readonly atMs: number; readonly wallMs: number } | null = null;
  #count = 0;
  #droppedRequest: DroppedRequest | null = null;

  /** Null before the first decision. */
  get last(): LastRound | null {
    return this.#last;
  }

  /** When etcd was last read, by the loop's clock and in epoch ms; null before the first time. */
  get lastRead(): { readonly atMs: number; readonly wallMs: number } | null {
    return this.#lastRead;
  }

  /** What the last decision left to remember. */
  get memory(): Memory {
    return this.#last?.decision.memory ?? emptyMemory;
  }

  /** How many came to a decision. */
  get count(): number {
    return this.#count;
  }

  get droppedRequest(): DroppedRequest | null {
    return this.#droppedRequest;
  }

  /** Calls back after every round, even one that came to no decision. Returns what ends it. */
  onEnd(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  observed({ dcs, nowMs, wallMs }: Observation): void {
    if (dcs.known) this.#lastRead = { atMs: nowMs, wallMs };
  }

  decided(observation: Observation, decision: Decision, askedAtMs: number): void {
    const { nowMs } = observation;
    this.#droppedRequest = droppedRequest(decision, nowMs) ?? this.#droppedRequest;
    this.#last = { observation, decision, askedAtMs, endedAtMs: nowMs, nextAtMs: nowMs };
    this.#count += 1;
  }

  ended(endedAtMs: number, nextAtMs: number): void {
    if (this.#last !== null) this.#last = { ...this.#last, endedAtMs, nextAtMs };
    for (const listener of [...this.#listeners]) listener();
  }
}
