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

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  /** Ends the watch; throws when any two nodes took writes at the same time. */
  async verify(): Promise<void> {
    await this.stop();
    const spans = this.spans.toSorted((a, b) => a.fromMs - b.fromMs);
    for (const [i, first] of spans.entries()) {
      // One answer alone says nothing of the moment at which it was read: its span is empty.
      const sharedMs = (later: PrimarySpan) => Math.min(first.untilMs, later.untilMs) - later.fromMs;
      const both = spans.slice(i + 1).find((later) => later.node !== first.node && sharedMs(later) > 0);
      if (both === undefined) continue;
      throw new Error(`${first.node} and ${both.node} took writes at the same time, for ${Math.ceil(sharedMs(both))} ms`);
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
