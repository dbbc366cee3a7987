/**
 * How one machine's etcd client reaches the members of the model: requests and answers that are
 * lost, held up and late, connections that are refused and cut. A request that was sent arrives
 * whether its sender has given up, gone on or died.
 */
import type { Exchange, StreamHandlers, Transport } from '../../../src/adapters/etcd/transport.ts';
import { HttpFailure } from '../../../src/support/http.ts';
import type { Gate, Simulation } from '../clock.ts';
import { type Etcd, type EtcdMember, MEMBERS } from '../etcd.ts';
import type { Network } from '../network.ts';
import { ADVERTISED_BY_MISTAKE, answerOf, urlOf } from './gateway.ts';
import { WatchStream } from './stream.ts';

export type Wire = Pick<Network, 'reaches' | 'requestDelay' | 'replyDelay' | 'delay' | 'losesReply' | 'watchLagMs'>;

export interface TransportParts {
  readonly sim: Simulation;
  readonly net: Wire;
  readonly etcd: Etcd;
  readonly machine: string;
  readonly gate: Gate;
  /**
   * Another etcd that answers at an address which etcd advertises, on this machine itself; null:
   * nobody does.
   */
  readonly stranger?: () => Etcd | null;
}

interface Target {
  readonly etcd: Etcd;
  readonly member: EtcdMember;
  readonly net: Wire;
}

const API_PREFIX = '/v3';
const memberAt: ReadonlyMap<string, EtcdMember> = new Map(MEMBERS.map((member) => [urlOf(member), member]));

const loopback: Wire = {
  reaches: () => true,
  requestDelay: () => 1,
  replyDelay: () => 1,
  delay: () => 1,
  losesReply: () => false,
  watchLagMs: 0,
};

export class SimTransport implements Transport {
  readonly #parts: TransportParts;

  constructor(parts: TransportParts) {
    this.#parts = parts;
  }

  exchange(url: string, body: string | null, _headers: Record<string, string>, signal: AbortSignal): Promise<Exchange> {
    if (signal.aborted) return Promise.reject(failure('given up', false));
    return new Promise((resolve, reject) => {
      let isOver = false;
      const settle = (end: () => void) => {
        if (isOver) return;
        isOver = true;
        signal.removeEventListener('abort', giveUp);
        end();
      };
      const giveUp = () => settle(() => reject(failure('given up', true)));
      signal.addEventListener('abort', giveUp);
      const refused = () => settle(() => reject(failure('connection refused', false)));
      this.#send(url, refused, (target, path) => {
        const answer = answerOf(target.etcd, target.member, path, body ?? '');
        if (answer === null || target.net.losesReply(this.#parts.machine)) return;
        this.#back(target, target.net.replyDelay(), () => settle(() => resolve(answer)));
      });
    });
  }

  stream(url: string, body: string, _headers: Record<string, string>, handlers: StreamHandlers): { close(): void } {
    let isOpen = true;
    let stream: WatchStream | null = null;
    const refused = () => isOpen && handlers.onEnd('connection refused');
    this.#send(url, refused, (target) => {
      if (!isOpen || !target.etcd.stands(target.member)) return;
      const { sim, gate, machine } = this.#parts;
      stream = new WatchStream({ sim, gate, machine, handlers, ...target });
      stream.begin(body);
    });
    return {
      close: () => {
        isOpen = false;
        stream?.close();
      },
    };
  }

  reloadTls(): void {}

  close(): void {}

  #send(url: string, refused: () => void, arrived: (target: Target, path: string) => void): void {
    const { sim, machine } = this.#parts;
    const at = url.indexOf(API_PREFIX);
    const target = this.#targetAt(url.slice(0, at));
    if (target === null) {
      sim.after(1, () => this.#parts.gate.deliver('message', refused));
      return;
    }
    if (!target.net.reaches(machine, target.member)) return;
    sim.after(target.net.requestDelay(), () => {
      if (!target.net.reaches(machine, target.member)) return;
      if (target.etcd.refuses(target.member)) this.#back(target, target.net.delay(), refused);
      else arrived(target, url.slice(at + API_PREFIX.length));
    });
  }

  #back({ net, member }: Target, afterMs: number, then: () => void): void {
    this.#parts.sim.after(afterMs, () => {
      if (net.reaches(member, this.#parts.machine)) this.#parts.gate.deliver('message', then);
    });
  }

  /** Null: nobody listens there. */
  #targetAt(endpoint: string): Target | null {
    const { etcd, net, stranger } = this.#parts;
    const member = memberAt.get(endpoint);
    if (member !== undefined) return { etcd, member, net };
    const other = endpoint === ADVERTISED_BY_MISTAKE ? (stranger?.() ?? null) : null;
    return other === null ? null : { etcd: other, member: MEMBERS[0], net: loopback };
  }
}

function failure(message: string, sent: boolean): HttpFailure {
  return new HttpFailure(message, { connected: sent, sent, stale: false, late: false });
}
