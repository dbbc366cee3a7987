/** The parent's side of the clients: starts them, reads their history, keeps its sums. */
import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { nowMs } from '../bench/now.ts';
import { RegentError } from '../src/support/errors.ts';
import type { ClusterNode } from '../test/integration/support/cluster-node.ts';
import type { ClientPlan, ClientsFile } from './clients-process.ts';
import { type Ack, isAck, outageMs, parseLines, Reigns, ROUTER_CLIENT } from './history.ts';

const ROUTER_CLIENTS = 2;
/** Numbers of the rows of one client. */
const ROWS_PER_CLIENT = 100_000_000;
const PATIENCE_MS = 2000;
/** Longer than any fault: what is acknowledged late is to be seen. */
const STUBBORN_PATIENCE_MS = 60_000;
/** The patient ones are told within it that they may go. */
const STOP_WITHIN_MS = 5000;
/** A client that is well writes a hundred times in it. */
const SERVED_MS = 1000;
const CHUNK_BYTES = 1 << 20;

function clientPlans(nodes: readonly ClusterNode[], routed: { readonly host: string; readonly port: number }): ClientPlan[] {
  const routers = Array.from({ length: ROUTER_CLIENTS }, (_, i) => ({
    ...{ name: `router-${i + 1}`, host: routed.host, port: routed.port },
    ...{ pauseMs: 10, reconnectMs: 5, patienceMs: PATIENCE_MS },
  }));
  const stubborn = nodes.flatMap(({ name, place }) => {
    const one = { host: place.directory, port: place.postgresPort, pauseMs: 25, reconnectMs: 50 };
    return [
      { ...one, name: `${name}-hasty`, patienceMs: PATIENCE_MS },
      { ...one, name: `${name}-patient`, patienceMs: STUBBORN_PATIENCE_MS },
    ];
  });
  return [...routers, ...stubborn].map((plan, i) => ({ ...plan, firstId: (i + 1) * ROWS_PER_CLIENT }));
}

export interface ClientsTerms {
  readonly entry: string;
  readonly directory: string;
  readonly nodes: readonly ClusterNode[];
  /** Where HAProxy takes writes. */
  readonly routed: { readonly host: string; readonly port: number };
}

export class Clients {
  readonly reigns = new Reigns();
  readonly acknowledged: number[] = [];
  readonly refused: number[] = [];
  /** Latest failure of a client of the router. */
  lastError: string | null = null;
  readonly historyFile: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #file: number;
  readonly #decoder = new StringDecoder('utf8');
  readonly #routed = new Map<string, number[]>();
  #lastRouted: Ack | null = null;
  #rest = '';
  #checked = 0;

  constructor({ entry, directory, nodes, routed }: ClientsTerms) {
    this.historyFile = join(directory, 'history.jsonl');
    writeFileSync(this.historyFile, '');
    const plan: ClientsFile = {
      history: this.historyFile,
      clients: clientPlans(nodes, routed),
      nodes: Object.fromEntries(nodes.map(({ name, place }) => [String(place.postgresPort), name])),
      ...{ user: 'postgres', password: 'postgres' },
    };
    const planFile = join(directory, 'clients.json');
    writeFileSync(planFile, JSON.stringify(plan, null, 2));
    this.#file = openSync(this.historyFile, 'r');
    this.#child = fork(entry, ['chaos', 'clients', planFile], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] });
    this.#child.on('error', () => undefined);
    this.#exited = new Promise((resolve) => this.#child.once('exit', () => resolve()));
  }

  /** Takes in what has been written to the history since. Throws when the clients have ended. */
  read(): void {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (let count = 1; count > 0; ) {
      count = readSync(this.#file, chunk, 0, CHUNK_BYTES, null);
      const { outcomes, rest } = parseLines(this.#rest + this.#decoder.write(chunk.subarray(0, count)));
      this.#rest = rest;
      for (const outcome of outcomes) {
        if (isAck(outcome)) this.#noteAck(outcome);
        else if (outcome.refused) this.refused.push(outcome.id);
        else if (ROUTER_CLIENT.test(outcome.by)) this.lastError = outcome.error;
      }
    }
  }

  /** Whether all clients of the router are being served, after that moment, and by that node. */
  isServedBy(node: string, sinceMs: number): boolean {
    this.read();
    if (this.#child.exitCode !== null) throw new RegentError('CHAOS_CLIENTS', 'the clients have ended', { policy: 'bug' });
    const last = this.#lastRouted;
    const all = [...this.#routed.values()];
    const recentMs = Math.max(sinceMs, nowMs() - SERVED_MS);
    return last?.node === node && all.length === ROUTER_CLIENTS && all.every((times) => times.at(-1)! > recentMs);
  }

  /** The worst of the router's clients; null: one of them had not been served before. */
  outageMs(fromMs: number, untilMs: number): number | null {
    this.read();
    const each = [...this.#routed.values()].map((acksMs) => outageMs(acksMs, fromMs, untilMs));
    return each.length === 0 || each.includes(null) ? null : Math.max(...(each as number[]));
  }

  /** Numbers of what was acknowledged since this was asked last. */
  unchecked(): number[] {
    this.read();
    const fresh = this.acknowledged.slice(this.#checked);
    this.#checked = this.acknowledged.length;
    return fresh;
  }

  get routedAcks(): number {
    return [...this.#routed.values()].reduce((sum, times) => sum + times.length, 0);
  }

  /** In order; then everything has been read. Idempotent. */
  async stop(): Promise<void> {
    if (this.#child.connected) this.#child.send('stop');
    const late = setTimeout(() => this.#child.kill('SIGKILL'), STOP_WITHIN_MS);
    await this.#exited;
    clearTimeout(late);
    this.read();
  }

  async close(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
    closeSync(this.#file);
  }

  #noteAck(ack: Ack): void {
    this.acknowledged.push(ack.id);
    this.reigns.add(ack);
    if (!ROUTER_CLIENT.test(ack.by)) return;
    if (this.#lastRouted === null || ack.atMs > this.#lastRouted.atMs) this.#lastRouted = ack;
    const times = this.#routed.get(ack.by);
    if (times === undefined) this.#routed.set(ack.by, [ack.atMs]);
    else times.push(ack.atMs);
  }
}
