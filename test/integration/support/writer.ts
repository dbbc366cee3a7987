/**
 * A client that writes one row after another and remembers exactly what was acknowledged, when, and
 * by which node. A row whose fate is unknown (the connection broke before the answer) is not
 * acknowledged, and its number is never used again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { codeOf } from '../../../src/support/errors.ts';
import type { ClusterNode } from './cluster-node.ts';

export interface Ack {
  readonly id: number;
  readonly node: string;
  /** performance.now() when the acknowledgement had arrived. */
  readonly atMs: number;
}

export interface WriterOptions {
  /**
   * Straight to this node, whatever its role; otherwise to the node that answers /primary with 200.
   */
  readonly only?: string;
  /** From the server's own machine, over its Unix socket. */
  readonly beside?: boolean;
  /** Between two writes. Default 5. */
  readonly pauseMs?: number;
  /** A write that takes longer is given up with its connection. Default 2000. */
  readonly patienceMs?: number;
}

/** SQLSTATE read_only_sql_transaction. */
const READ_ONLY = '25006';

let writers = 0;

export class Writer {
  readonly acks: Ack[] = [];
  /** The latest reasons for which a write failed, newest last. */
  readonly errors: string[] = [];
  readonly #nodes: readonly ClusterNode[];
  readonly #options: WriterOptions;
  readonly #done: Promise<void>;
  #stopped = false;
  #nextId: number;

  constructor(nodes: readonly ClusterNode[], options: WriterOptions = {}) {
    this.#nodes = nodes;
    this.#options = options;
    this.#nextId = ++writers * 10_000_000;
    this.#done = this.#run();
  }

  /**
   * Resolves with the first acknowledgement that satisfies the condition, past or to come; throws
   * after the deadline.
   */
  async ack(what: string, timeoutMs: number, condition: (ack: Ack) => boolean): Promise<Ack> {
    const deadline = performance.now() + timeoutMs;
    for (let looked = 0; ; ) {
      for (; looked < this.acks.length; looked++) if (condition(this.acks[looked]!)) return this.acks[looked]!;
      if (performance.now() > deadline) {
        throw new Error(`no acknowledged write within ${timeoutMs} ms: ${what}; last error: ${this.errors.at(-1) ?? 'none'}`);
      }
      await delay(2);
    }
  }

  /** The next acknowledgement from now on. */
  next(timeoutMs = 30_000): Promise<Ack> {
    const now = performance.now();
    return this.ack('the next one', timeoutMs, (ack) => ack.atMs > now);
  }

  on(node: string): readonly Ack[] {
    return this.acks.filter((ack) => ack.node === node);
  }

  /**
   * The longest time without an acknowledgement since that moment (default: the first one), in
   * milliseconds, up to now or the writer's stop.
   */
  longestGapMs(sinceMs = this.acks[0]?.atMs ?? 0): number {
    const times = [sinceMs, ...this.acks.map((ack) => ack.atMs).filter((atMs) => atMs > sinceMs)];
    if (!this.#stopped) times.push(performance.now());
    return Math.max(0, ...times.slice(1).map((atMs, i) => atMs - times[i]!));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  /** Throws, with what is missing, unless every acknowledged row is present on the node. */
  async verifyOn(node: ClusterNode): Promise<void> {
    const present = new Set((await node.sql<{ id: string }>('select id from writes', 20_000)).map((row) => Number(row.id)));
    const lost = this.acks.filter((ack) => !present.has(ack.id));
    if (lost.length === 0) return;
    const first = lost[0]!;
    const by = [...new Set(lost.map((ack) => ack.node))].join(', ');
    throw new Error(
      `${lost.length} of ${this.acks.length} acknowledged writes are missing on ${node.name}; acknowledged by ${by}, first id ${first.id}`,
    );
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const node = await this.#target();
      if (node === null) {
        await delay(10);
        continue;
      }
      await this.#writeTo(node).catch((error: unknown) => this.#note(node, error));
      if (!this.#stopped) await delay(5);
    }
  }

  async #target(): Promise<ClusterNode | null> {
    const { only } = this.#options;
    if (only !== undefined) return this.#nodes.find((node) => node.name === only) ?? null;
    const answers = await Promise.all(this.#nodes.map((node) => node.rest('/primary', { timeoutMs: 300 })));
    return this.#nodes.find((_, i) => answers[i]?.status === 200) ?? null;
  }

  async #writeTo(node: ClusterNode): Promise<void> {
    const client = await node.connect(this.#options.patienceMs ?? 2000, this.#options.beside);
    try {
      while (!this.#stopped) {
        const id = this.#nextId++;
        if (await this.#writeOne(client, node, id)) this.acks.push({ id, node: node.name, atMs: performance.now() });
        else if (this.#options.only === undefined) return;
        await delay(this.#options.pauseMs ?? 5);
      }
    } finally {
      // Not awaited: a frozen server would never answer the farewell.
      void client.end().catch(() => undefined);
    }
  }

  /**
   * False on a standby: refused, with a connection that is as good as before and outlives a
   * promotion.
   */
  async #writeOne(client: pg.Client, node: ClusterNode, id: number): Promise<boolean> {
    try {
      const result = await client.query('insert into writes (id) values ($1)', [id]);
      if (result.rowCount !== 1) throw new Error(`insert answered with ${result.rowCount} rows`);
      return true;
    } catch (error) {
      if (codeOf(error) !== READ_ONLY) throw error;
      this.#note(node, error);
      return false;
    }
  }

  #note(node: ClusterNode, error: unknown): void {
    this.errors.push(`${node.name}: ${error instanceof Error ? error.message : String(error)}`);
    if (this.errors.length > 100) this.errors.shift();
  }
}
