/** Carries the calls of a leader that cannot reach etcd (ports/carrier.ts): this member's side. */
import type { Carrier } from '../../ports/carrier.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import { codeOf, ensureError } from '../../support/errors.ts';
import type { JsonObject } from '../../support/json.ts';
import type { Gateway } from './gateway.ts';
import { shownId } from './identity.ts';
import { carriedCall } from './relayed-call.ts';

const LONGEST_CALL_MS = 30_000;
/** Nothing was carried for so long: it is over. */
const OVER_MS = 30_000;

export interface EtcdCarrierOptions {
  readonly gateway: Gateway;
  /** Of the cluster's keys. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly log: Log;
}

export class EtcdCarrier implements Carrier {
  readonly #options: EtcdCarrierOptions;
  /** When the last call was carried, by for whom. */
  readonly #carriedAtMs = new Map<string, number>();
  #cancelLook: (() => void) | null = null;

  constructor(options: EtcdCarrierOptions) {
    this.#options = options;
  }

  async carry(from: string, message: JsonObject): Promise<JsonObject> {
    const { gateway, prefix, log } = this.#options;
    const { clusterId } = gateway.identity;
    if (clusterId === null || message['etcd'] !== clusterId) {
      const own = clusterId === null ? 'none yet' : shownId(clusterId);
      return { refused: `this member's etcd is ${own}, that of the caller ${shownId(String(message['etcd']))}` };
    }
    const call = carriedCall(message['path'], message['body'], prefix);
    const timeoutMs = Number(message['timeoutMs']);
    if (call === null || !(timeoutMs > 0)) {
      log.error(`${from} asked for a call to etcd that is not carried for other members: ${String(message['path'])}`);
      return { refused: 'not a call that is carried' };
    }
    try {
      const { answer, maybeApplied } = await gateway.call({ ...call, timeoutMs: Math.min(timeoutMs, LONGEST_CALL_MS), direct: true });
      this.#note(from);
      return { answer: answer as unknown as JsonObject, maybeApplied };
    } catch (error) {
      const text = ensureError(error).message;
      return codeOf(error) === 'DCS_LEASE_GONE' ? { gone: text } : { failed: text };
    }
  }

  close(): void {
    this.#cancelLook?.();
  }

  #note(from: string): void {
    const { clock, log } = this.#options;
    if (!this.#carriedAtMs.has(from)) log.info(`${from} cannot reach etcd: this member carries its calls`);
    this.#carriedAtMs.set(from, clock.monotonicMs());
    this.#cancelLook ??= clock.timer(OVER_MS, () => this.#look());
  }

  #look(): void {
    const { clock, log } = this.#options;
    this.#cancelLook = null;
    for (const [from, atMs] of this.#carriedAtMs) {
      if (clock.monotonicMs() - atMs < OVER_MS) continue;
      this.#carriedAtMs.delete(from);
      log.info(`${from} has no more calls to etcd carried`);
    }
    if (this.#carriedAtMs.size > 0) this.#cancelLook = clock.timer(OVER_MS, () => this.#look());
  }
}
