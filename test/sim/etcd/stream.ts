/**
 * A watch of one member over one connection. What happens is told in order and once; a connection
 * that is cut holds it back, as TCP does, and is given up after a while without the client hearing
 * of it.
 */
import type { StreamHandlers } from '../../../src/adapters/etcd/transport.ts';
import type { Gate, Simulation } from '../clock.ts';
import { type Etcd, type EtcdMember, PREFIX, type Watcher } from '../etcd.ts';
import { headerOf, NO_LEADER_LINE } from './gateway.ts';
import type { Wire } from './transport.ts';

/** How long a member keeps what it cannot send. */
const HELD_MS = 10_000;

export interface StreamParts {
  readonly sim: Simulation;
  readonly gate: Gate;
  readonly net: Wire;
  readonly etcd: Etcd;
  readonly machine: string;
  readonly member: EtcdMember;
  readonly handlers: StreamHandlers;
}

export class WatchStream implements Watcher {
  readonly member: EtcdMember;
  readonly #parts: StreamParts;
  /** The next revision to be told. */
  #next = 0n;
  #heldSince: number | null = null;
  #arrivesAt = 0;
  #open = true;

  constructor(parts: StreamParts) {
    this.#parts = parts;
    this.member = parts.member;
  }

  /** The request is here. */
  begin(body: string): void {
    const { create_request: request } = JSON.parse(body) as { create_request: { key: string; start_revision?: string } };
    if (Buffer.from(request.key, 'base64').toString() !== PREFIX) throw new Error('the model of etcd watches nothing but the cluster');
    const { etcd, sim } = this.#parts;
    if (!this.#open) return;
    if (etcd.knowsNoLeader(this.member)) {
      this.#arrive(() => this.#parts.handlers.onText(NO_LEADER_LINE));
      return;
    }
    const { revision } = etcd.standing(this.member);
    this.#next = request.start_revision === undefined ? revision + 1n : BigInt(request.start_revision);
    this.#send(`"created":true`);
    etcd.watchers.add(this);
    sim.onDisturbance.add(this.#disturbed);
    this.pump();
  }

  pump(): void {
    const { etcd, gate, net, machine, sim } = this.#parts;
    if (gate.dead) {
      this.#forget();
      return;
    }
    if (!etcd.serves(this.member) || this.#next > etcd.revision) return;
    if (!net.reaches(this.member, machine) || !net.reaches(machine, this.member)) {
      this.#heldSince ??= sim.now;
      return;
    }
    if (this.#heldSince !== null && sim.now - this.#heldSince > HELD_MS) {
      this.#forget();
      return;
    }
    this.#heldSince = null;
    const { compacted } = etcd.history;
    if (this.#next < compacted) {
      this.#send(`"canceled":true,"compact_revision":"${compacted}"`);
      this.#forget();
      return;
    }
    for (; this.#next <= etcd.revision; this.#next += 1n) {
      const events = etcd.history.eventsOf(this.#next);
      if (events !== null) this.#send(`"events":${events}`);
    }
  }

  end(): void {
    if (!this.#open) return;
    this.#arrive(() => this.#parts.handlers.onEnd('the connection was closed'));
    this.#forget();
  }

  /** By the client. */
  close(): void {
    this.#open = false;
    this.#forget();
  }

  readonly #disturbed = (): void => {
    if (this.#heldSince !== null) this.pump();
  };

  #send(said: string): void {
    const line = `{"result":{"header":${headerOf(this.#parts.etcd, this.member)},${said}}}\n`;
    this.#arrive(() => this.#parts.handlers.onText(line));
  }

  /** One after the other; what is on its way when the connection is cut is lost with it. */
  #arrive(then: () => void): void {
    const { sim, gate, net, machine } = this.#parts;
    this.#arrivesAt = Math.max(this.#arrivesAt, sim.now + net.delay() + net.watchLagMs);
    sim.at(this.#arrivesAt, () => {
      if (!net.reaches(this.member, machine)) this.#lose();
      else gate.deliver('message', () => this.#open && then());
    });
  }

  #lose(): void {
    this.#open = false;
    this.#forget();
  }

  #forget(): void {
    this.#parts.etcd.watchers.delete(this);
    this.#parts.sim.onDisturbance.delete(this.#disturbed);
  }
}
