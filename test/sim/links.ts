/**
 * Messages between agents as connections that stay open carry them: in time or not at all. The end
 * of a process ends its connections, and the other end hears of it; the end of a machine does not.
 */
import type { Member } from '../../src/core/cluster.ts';
import type { Knock } from '../../src/core/quorum/link-facts.ts';
import { CARRIED_KIND, type Carrier } from '../../src/ports/carrier.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { LinkListener, Links } from '../../src/ports/links.ts';
import type { JsonObject } from '../../src/support/json.ts';
import type { Gate, Simulation } from './clock.ts';
import type { Network } from './network.ts';
import type { SimServer } from './server.ts';

/** The other end of a link, as the network finds it. */
export interface LinkEnd {
  readonly name: string;
  /** The machine is on. */
  readonly up: boolean;
  /** The whole machine stands still. */
  readonly still: boolean;
  readonly links: SimLinks | null;
  readonly server: SimServer;
}

export interface LinkParts {
  readonly sim: Simulation;
  readonly net: Network;
  readonly name: string;
  readonly gate: Gate;
  readonly clock: Pick<Clock, 'timer'>;
  readonly find: (name: string) => LinkEnd | null;
  /** It knows of no links: an older Regent, or Patroni. Its ports can be knocked at. */
  readonly old: boolean;
  /** This agent has vouched for a leader. */
  readonly vouched: () => void;
}

export interface Series {
  readonly sinceMs: number;
  readonly lastMs: number;
}

/** Nobody misses a leader for a shorter silence: suspect_after is longer. */
const PAUSE_MS = 290;

export class SimLinks implements Links {
  readonly #parts: LinkParts;
  #listener: LinkListener | null = null;
  /** Members that this agent has opened a connection to. */
  readonly #open = new Set<string>();
  /** The beats of each member that came one after the other, without a pause or a resignation. */
  readonly series = new Map<string, Series>();
  /** Carries calls to etcd for others; null: there is no etcd client yet. */
  carrier: Carrier | null = null;

  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  listen(listener: LinkListener): void {
    this.#listener = listener;
  }

  ask(member: Member, message: JsonObject, { timeoutMs }: { readonly timeoutMs: number }): Promise<JsonObject | null> {
    const { sim, net, name, clock, gate, old } = this.#parts;
    if (old) return Promise.resolve(null);
    return new Promise((resolve) => {
      const lost = () => clock.timer(timeoutMs, () => resolve(null));
      if (!net.up(name, member.name)) return void lost();
      const cancel = lost();
      sim.after(net.delay(), () => {
        const end = this.#parts.find(member.name);
        if (end === null || !end.up || end.links === null) return;
        this.#open.add(member.name);
        end.links.#hear(name, message, (answer) => {
          if (!net.up(member.name, name)) return;
          sim.after(net.delay(), () =>
            gate.deliver('message', () => {
              cancel();
              resolve(answer);
            }),
          );
        });
      });
    });
  }

  /** A message has arrived; a frozen agent hears it when it is thawed. */
  #hear(from: string, message: JsonObject, reply: (answer: JsonObject | null) => void): void {
    const { gate, old } = this.#parts;
    gate.deliver('message', () => {
      if (old) return reply(null);
      if (message['kind'] === 'beat') this.#count(from, message['resigns'] === true);
      const carried = message['kind'] === CARRIED_KIND ? this.carrier?.carry(from, message) : this.#listener?.asked(from, message);
      void Promise.resolve(carried ?? null).then((answer) => {
        if (answer?.['vouches'] === true) this.#parts.vouched();
        reply(answer);
      });
    });
  }

  #count(from: string, resigns: boolean): void {
    const { now } = this.#parts.sim;
    if (resigns) return void this.series.delete(from);
    const before = this.series.get(from);
    const goesOn = before !== undefined && now - before.lastMs < PAUSE_MS;
    this.series.set(from, { sinceMs: goesOn ? before.sinceMs : now, lastMs: now });
  }

  /** Its process has ended, its machine goes on. */
  broken(): void {
    const { sim, net, name, find } = this.#parts;
    for (const other of this.#open) {
      if (!net.up(name, other)) continue;
      sim.after(net.delay(), () => find(other)?.links?.heardEnd(name));
    }
    this.#open.clear();
  }

  heardEnd(from: string): void {
    this.#parts.gate.deliver('message', () => this.#listener?.lost(from));
  }

  knockAgent(member: Member, { timeoutMs }: { readonly timeoutMs: number }): Promise<Knock> {
    return this.#knock(member.name, timeoutMs, ({ links, still }) => (still ? 'silent' : links === null ? 'refused' : 'answered'));
  }

  knockPostgres(member: Member, { timeoutMs }: { readonly timeoutMs: number }): Promise<Knock> {
    return this.#knock(member.name, timeoutMs, ({ server: { process }, still }) => {
      if (still) return 'silent';
      if (process === null) return 'refused';
      return process.hung || process.postmasterHung ? 'silent' : 'answered';
    });
  }

  #knock(to: string, timeoutMs: number, outcome: (end: LinkEnd) => Knock): Promise<Knock> {
    const { sim, net, name, clock, gate, find } = this.#parts;
    return new Promise((resolve) => {
      const cancel = clock.timer(timeoutMs, () => resolve('silent'));
      if (!net.rejects(name, to) && (!net.up(name, to) || !net.up(to, name))) return;
      sim.after(2 * net.delay(), () => {
        const end = find(to);
        const answers = (): Knock => (end === null || !end.up || !net.up(to, name) ? 'silent' : outcome(end));
        const found = net.rejects(name, to) ? 'refused' : answers();
        if (found === 'silent') return;
        gate.deliver('message', () => {
          cancel();
          resolve(found);
        });
      });
    });
  }

  close(): void {
    this.#listener = null;
  }
}
