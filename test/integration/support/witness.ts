/**
 * Asks every server, over its Unix socket (which no network fault touches), whether it takes
 * writes. It keeps the times for which that is certain: from the first answer "not in recovery" to
 * the sending of the last such question, on one server process. Two such spans that overlap are two
 * writable primaries.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterNode } from './cluster-node.ts';

export interface PrimarySpan {
  readonly node: string;
  readonly fromMs: number;
  /** Grows while the server goes on. */
  untilMs: number;
}

const EVERY_MS = 15;

export class Witness {
  readonly spans: PrimarySpan[] = [];
  readonly #done: Promise<unknown>;
  #stopped = false;

  constructor(nodes: readonly ClusterNode[]) {
    this.#done = Promise.all(nodes.map((node) => this.#watch(node)));
  }

  /** The node takes writes at this moment, as far as has been seen. */
  isPrimary(node: string): boolean {
    const last = this.spans.findLast((span) => span.node === node);
    return last !== undefined && performance.now() - last.untilMs < 20 * EVERY_MS;
  }

  /** Ends the watch; throws when any two nodes took writes at the same time. */
  async verify(): Promise<void> {
    this.#stopped = true;
    await this.#done;
    const spans = this.spans.toSorted((a, b) => a.fromMs - b.fromMs);
    for (const [i, first] of spans.entries()) {
      const both = spans.slice(i + 1).find((later) => later.node !== first.node && later.fromMs < first.untilMs);
      if (both === undefined) continue;
      const ms = Math.round(Math.min(first.untilMs, both.untilMs) - both.fromMs);
      throw new Error(`${first.node} and ${both.node} took writes at the same time, for ${ms} ms`);
    }
  }

  async #watch(node: ClusterNode): Promise<void> {
    while (!this.#stopped) {
      await this.#ask(node).catch(() => undefined);
      await delay(EVERY_MS);
    }
  }

  /** One connection, so one life of the server. */
  async #ask(node: ClusterNode): Promise<void> {
    const client = await node.connect(2000, true);
    try {
      for (let span: PrimarySpan | null = null; !this.#stopped; await delay(EVERY_MS)) {
        const sentMs = performance.now();
        const answer = await client.query<{ standby: boolean }>('select pg_is_in_recovery() as standby');
        if (answer.rows[0]?.standby !== false) continue;
        if (span === null) {
          span = { node: node.name, fromMs: performance.now(), untilMs: performance.now() };
          this.spans.push(span);
        } else span.untilMs = sentMs;
      }
    } finally {
      void client.end().catch(() => undefined);
    }
  }
}
