/**
 * Transactions on the keys of one cluster.
 *
 * A reply may be lost after the write took effect, and the call is then sent again. So every write
 * here lets its second copy tell what the first one did. A failed compare returns the key's present
 * value. If an earlier copy has an unknown fate and the value is what this call wanted to write,
 * that copy wrote it.
 *
 * A copy may also take effect late. A frozen etcd member that thaws proposes what lies in its
 * socket, minutes after the caller has given up and gone on. Compares protect conditional writes
 * from that. Unconditional ones carry a compare too: the key must not have changed since the
 * revision known when the call began. So a late copy never undoes a newer write.
 */
import type { CallOptions } from '../../ports/dcs.ts';
import { DcsError } from '../../support/errors.ts';
import { isRecord, type KeyValue } from './answers.ts';
import type { Gateway } from './gateway.ts';
import { decodeText, encodePrefixEnd, encodeText } from './keys.ts';
import type { Progress } from './progress.ts';

export type Compare = Readonly<Record<string, string>>;
export type Operation = Readonly<Record<string, unknown>>;

export interface Outcome {
  readonly succeeded: boolean;
  readonly responses: readonly Record<string, unknown>[];
  readonly revision: bigint;
  readonly maybeApplied: boolean;
}

export interface Stored {
  readonly value: string;
  readonly leaseId: string;
  readonly modRevision: bigint;
  readonly createRevision: bigint;
}

/**
 * The first may know an old revision; each of the others fails only if the key changed within one
 * round trip.
 */
const ATTEMPTS = 5;

export class Transactions {
  readonly #gateway: Gateway;
  readonly #progress: Progress;
  readonly #prefix: string;

  constructor(gateway: Gateway, progress: Progress, prefix: string) {
    this.#gateway = gateway;
    this.#progress = progress;
    this.#prefix = prefix;
  }

  absent(key: string): Compare {
    return { key: this.#key(key), target: 'CREATE', create_revision: '0' };
  }

  valueIs(key: string, value: string): Compare {
    return { key: this.#key(key), target: 'VALUE', value: encodeText(value) };
  }

  revisionIs(key: string, modRevision: string): Compare {
    return { key: this.#key(key), target: 'MOD', mod_revision: modRevision };
  }

  /** The key exists, and is on that lease. */
  leaseIs(key: string, leaseId: string): Compare {
    return { key: this.#key(key), target: 'LEASE', lease: leaseId };
  }

  /** Nobody has put the key since that revision. */
  unchangedSince(key: string, revision: bigint): Compare {
    return unchangedSince({ key: this.#key(key) }, revision);
  }

  put(key: string, value: string, leaseId: string | null): Operation {
    return { request_put: { key: this.#key(key), value: encodeText(value), ...(leaseId === null ? {} : { lease: leaseId }) } };
  }

  delete(key: string): Operation {
    return { request_delete_range: { key: this.#key(key) } };
  }

  get(key: string): Operation {
    return { request_range: { key: this.#key(key) } };
  }

  /** Throws what Gateway.call throws. */
  async run(
    compare: readonly Compare[],
    success: readonly Operation[],
    failure: readonly Operation[],
    options: CallOptions,
  ): Promise<Outcome> {
    const body = { compare, success, failure };
    const { answer, maybeApplied } = await this.#gateway.call({ path: '/kv/txn', body, timeoutMs: options.timeoutMs, consensus: true });
    const responses = Array.isArray(answer['responses']) ? answer['responses'].filter(isRecord) : [];
    const revision = BigInt(answer.header.revision ?? '0');
    if (changedSomething(responses)) this.#progress.changed(revision);
    return { succeeded: answer['succeeded'] === true, responses, revision, maybeApplied };
  }

  /** Puts the value whatever is there. Returns the key's new mod revision. */
  async overwrite(key: string, value: string, leaseId: string | null, options: CallOptions): Promise<bigint> {
    return this.#insist({ key: this.#key(key) }, this.put(key, value, leaseId), this.get(key), options, (stored) => {
      return stored !== null && stored.value === value && stored.leaseId === (leaseId ?? '0') ? stored.modRevision : null;
    });
  }

  async remove(key: string, options: CallOptions): Promise<void> {
    await this.#insist({ key: this.#key(key) }, this.delete(key), this.get(key), options, () => null);
  }

  async removeAll(options: CallOptions): Promise<void> {
    const range = { key: encodeText(this.#prefix), range_end: encodePrefixEnd(this.#prefix) };
    const count = { request_range: { ...range, count_only: true } };
    await this.#insist(range, { request_delete_range: range }, count, options, () => null);
  }

  /**
   * Creates the key if it is absent. True also when a copy of this call, whose reply was lost,
   * created it. A key on the given lease is the caller's own whenever it was made, as nobody else
   * uses that lease. `fence`: a key only the caller writes. Once it has been written again, a late
   * copy of this call is void. `also`: what else must hold.
   */
  async create(
    key: string,
    value: string,
    leaseId: string | null,
    fence: string | null,
    options: CallOptions,
    also: readonly Compare[] = [],
  ): Promise<boolean> {
    const left = this.#gateway.countdown(options.timeoutMs);
    let known = this.#gateway.guard.revision;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const compare = [this.absent(key), ...(fence === null ? [] : [unchangedSince({ key: this.#key(fence) }, known)]), ...also];
      const outcome = await this.run(compare, [this.put(key, value, leaseId)], [this.get(key)], { timeoutMs: left() });
      if (outcome.succeeded) return true;
      const stored = storedIn(outcome.responses[0]);
      if (stored !== null)
        return (leaseId !== null || outcome.maybeApplied) && stored.value === value && stored.leaseId === (leaseId ?? '0');
      if (also.length > 0) return false;
      known = outcome.revision;
    }
    throw restless();
  }

  /**
   * Puts the value if the key still has that mod revision. Returns the new one, or null. The result
   * is also null if a copy of this call took effect, its reply was lost and another writer has
   * changed the key since. The present value is then not what was written.
   */
  async replace(
    key: string,
    value: string,
    modRevision: string,
    options: CallOptions,
    also: readonly Compare[] = [],
  ): Promise<bigint | null> {
    const outcome = await this.run([this.revisionIs(key, modRevision), ...also], [this.put(key, value, null)], [this.get(key)], options);
    if (outcome.succeeded) return outcome.revision;
    const stored = storedIn(outcome.responses[0]);
    if (!outcome.maybeApplied || stored === null || stored.value !== value) return null;
    return stored.modRevision > BigInt(modRevision) ? stored.modRevision : null;
  }

  /** Deletes the key if it still has that mod revision, and `also` holds. */
  async removeRevision(key: string, modRevision: string, options: CallOptions, also: readonly Compare[] = []): Promise<boolean> {
    const outcome = await this.run([this.revisionIs(key, modRevision), ...also], [this.delete(key)], [this.get(key)], options);
    return outcome.succeeded || (outcome.maybeApplied && storedIn(outcome.responses[0]) === null);
  }

  /**
   * Carries `operation` out if nothing in the range has changed since the newest revision known. If
   * something has, it learns the newer revision from the answer and tries again. `done` reads from
   * the key that an earlier copy has done it already.
   */
  async #insist(
    range: Compare,
    operation: Operation,
    look: Operation,
    options: CallOptions,
    done: (stored: Stored | null) => bigint | null,
  ): Promise<bigint> {
    const left = this.#gateway.countdown(options.timeoutMs);
    let known = this.#gateway.guard.revision;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const outcome = await this.run([unchangedSince(range, known)], [operation], [look], { timeoutMs: left() });
      if (outcome.succeeded) return outcome.revision;
      const already = outcome.maybeApplied ? done(storedIn(outcome.responses[0])) : null;
      if (already !== null) return already;
      known = outcome.revision;
    }
    throw restless();
  }

  #key(key: string): string {
    return encodeText(this.#prefix + key);
  }
}

function unchangedSince(range: Compare, revision: bigint): Compare {
  return { ...range, target: 'MOD', result: 'LESS', mod_revision: String(revision + 1n) };
}

export function restless(): DcsError {
  return new DcsError('DCS_UNREACHABLE', 'etcd: the key changes faster than it can be written', {
    mend: 'Look for a second member of the same name.',
  });
}

/** The key a `request_range` of one key found; null when it is absent. */
export function storedIn(response: Record<string, unknown> | undefined): Stored | null {
  const range = response?.['response_range'];
  const kvs = isRecord(range) ? range['kvs'] : null;
  const kv = Array.isArray(kvs) ? (kvs[0] as KeyValue | undefined) : undefined;
  if (kv === undefined) return null;
  return {
    value: decodeText(kv.value),
    leaseId: kv.lease ?? '0',
    modRevision: BigInt(kv.mod_revision ?? '0'),
    createRevision: BigInt(kv.create_revision ?? '0'),
  };
}

function changedSomething(responses: readonly Record<string, unknown>[]): boolean {
  return responses.some((response) => {
    if (isRecord(response['response_put'])) return true;
    const deleted = response['response_delete_range'];
    if (isRecord(deleted)) return deleted['deleted'] !== undefined && deleted['deleted'] !== '0';
    const nested = response['response_txn'];
    return isRecord(nested) && Array.isArray(nested['responses']) && changedSomething(nested['responses'].filter(isRecord));
  });
}
