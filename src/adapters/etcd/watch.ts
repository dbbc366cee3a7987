/**
 * A watch on a cluster's prefix that does not get lost.
 *
 * It goes on at the last revision told plus one, on whichever endpoint answers, so that a broken
 * connection loses nothing. Where something may have been missed (the first start, revisions
 * compacted away, another history of etcd) it starts from now and says `key: null`.
 *
 * A stream can be silent because nothing happens, or because it is dead: its member is frozen, cut
 * off, or lags. Four checks tell. etcd itself ends the streams of a member without a leader
 * (REQUIRE_LEADER in gateway.ts). A change known from a read or an own write must arrive within a
 * second. The member must have answered some linearizable call lately; it is asked when it has not,
 * or when another call to it just failed. A stream that is silent for long is opened again in any
 * case.
 */
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import { ensureError } from '../../support/errors.ts';
import { type GatewayFault, type Header, isRecord, judgeFault, type Verdict } from './answers.ts';
import type { Gateway } from './gateway.ts';
import { decodeText, encodePrefixEnd, encodeText, relativeKey } from './keys.ts';
import { lineSplitter } from './lines.ts';
import type { Progress } from './progress.ts';
import { readWatchMessage, type WatchEvent } from './watch-message.ts';

export interface WatchTimings {
  /** From the request to etcd's word that the watch stands. */
  readonly openMs: number;
  /**
   * Time between looks at the checks while there is something to find out. While all is well they
   * are CALM_TICKS times as rare, to let an idle machine sleep.
   */
  readonly tickMs: number;
  /** How long a change known otherwise may stay untold. */
  readonly behindMs: number;
  /** How old the member's last linearizable answer may get. */
  readonly proofMs: number;
  readonly probeTimeoutMs: number;
  /** Silence after which the stream is opened again. */
  readonly idleMs: number;
  readonly pauseFirstMs: number;
  readonly pauseMaxMs: number;
}

export const WATCH_TIMINGS: WatchTimings = {
  openMs: 2000,
  tickMs: 500,
  behindMs: 1000,
  // A round reads etcd too, so this asks only where rounds are far apart; each question wakes an
  // idle agent up for a millisecond.
  proofMs: 5000,
  probeTimeoutMs: 1000,
  idleMs: 30_000,
  pauseFirstMs: 50,
  pauseMaxMs: 2000,
};

const CALM_TICKS = 4;

export interface WatchOptions {
  readonly gateway: Gateway;
  readonly progress: Progress;
  readonly prefix: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly listener: (event: { readonly key: string | null; readonly deleted: boolean }) => void;
  readonly timings?: WatchTimings;
}

interface Stream {
  readonly endpoint: string;
  close: () => void;
  dropToken: (verdict: Verdict) => void;
  /** Null: etcd has not confirmed the watch yet. */
  createdAtMs: number | null;
  heardAtMs: number;
}

export class PrefixWatch {
  readonly #options: WatchOptions;
  readonly #timings: WatchTimings;
  #closed = false;
  #stream: Stream | null = null;
  /** All changes up to this revision have been told; null: start from now. */
  #told: bigint | null = null;
  #generation: number;
  #failures = 0;
  readonly #failed = new Set<string>();
  #behind: { revision: bigint; sinceMs: number } | null = null;
  #probing = false;
  #cancelReconnect: () => void = () => {};
  #cancelTick: () => void = () => {};
  #tickIsFar = false;
  #cancelOpen: () => void = () => {};
  readonly #unsubscribe: ReadonlyArray<() => void>;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#timings = options.timings ?? WATCH_TIMINGS;
    this.#generation = options.gateway.guard.generation;
    const unsuspect = options.gateway.pool.onSuspicion((endpoint) => {
      const stream = this.#stream;
      if (stream?.createdAtMs != null && stream.endpoint === endpoint) void this.#probe(stream);
    });
    this.#unsubscribe = [unsuspect, options.progress.onChange(() => this.#tickIsFar && this.#tick())];
    this.#tick();
    this.#connect();
  }

  close(): void {
    this.#closed = true;
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#cancelReconnect();
    this.#cancelTick();
    this.#drop();
  }

  #connect(): void {
    if (this.#closed) return;
    const endpoint = this.#choose();
    if (endpoint === null) {
      this.#retryLater('no etcd endpoint is known');
      return;
    }
    if (this.#generation !== this.#options.gateway.guard.generation) this.#startOver();
    const stream: Stream = {
      endpoint,
      close: () => {},
      dropToken: () => {},
      createdAtMs: null,
      heardAtMs: this.#options.clock.monotonicMs(),
    };
    this.#stream = stream;
    this.#cancelOpen();
    this.#cancelOpen = this.#options.clock.timer(this.#timings.openMs, () =>
      this.#fail(stream, `no watch within ${this.#timings.openMs} ms`),
    );
    const feed = lineSplitter((line) => this.#onLine(stream, line));
    const handlers = {
      onText: (text: string) => {
        if (this.#stream !== stream) return;
        stream.heardAtMs = this.#options.clock.monotonicMs();
        try {
          feed(text);
        } catch (error) {
          this.#fail(stream, ensureError(error).message);
        }
      },
      onEnd: (reason: string) => this.#fail(stream, reason),
    };
    this.#options.gateway.stream(endpoint, '/watch', this.#request(), this.#timings.openMs, handlers).then(
      (opened) => {
        stream.close = opened.close;
        stream.dropToken = opened.dropToken;
        if (this.#stream !== stream) opened.close();
      },
      (error) => this.#fail(stream, ensureError(error).message),
    );
  }

  #request(): Record<string, unknown> {
    const { prefix } = this.#options;
    const start = this.#told === null ? {} : { start_revision: String(this.#told + 1n) };
    return { create_request: { key: encodeText(prefix), range_end: encodePrefixEnd(prefix), ...start, progress_notify: true } };
  }

  /** The best endpoint that has not failed since a watch last stood. */
  #choose(): string | null {
    const endpoints = this.#options.gateway.pool.list();
    const fresh = endpoints.find((endpoint) => !this.#failed.has(endpoint));
    if (fresh !== undefined) return fresh;
    this.#failed.clear();
    return endpoints[0] ?? null;
  }

  #onLine(stream: Stream, line: string): void {
    if (this.#stream !== stream) return;
    const message = readWatchMessage(line);
    if (message === null) this.#fail(stream, 'not a watch message of etcd');
    else if (message.kind === 'fault') this.#refused(stream, message.fault);
    else if (message.kind === 'cancelled') this.#refused(stream, { code: 0, message: message.reason });
    else if (message.kind === 'compacted') {
      this.#startOver();
      this.#fail(stream, 'etcd has compacted the revisions not told yet');
    } else if (this.#options.gateway.guard.isStale(message.header)) {
      this.#fail(stream, `stale member of raft term ${message.header.raft_term}`);
    } else if (message.kind === 'created') this.#onCreated(stream, message.header);
    else this.#onEvents(stream, message.header, message.events);
  }

  #refused(stream: Stream, fault: GatewayFault): void {
    const verdict = judgeFault(fault);
    if (verdict.kind === 'token' || verdict.kind === 'auth-off') stream.dropToken(verdict);
    if (verdict.kind === 'refused') this.#options.log.error(`etcd refuses the watch: ${verdict.message}. ${verdict.mend}`);
    this.#fail(stream, fault.message);
  }

  #onCreated(stream: Stream, header: Header): void {
    this.#cancelOpen();
    stream.createdAtMs = this.#options.clock.monotonicMs();
    if (this.#told === null) {
      this.#told = BigInt(header.revision ?? '0');
      this.#tell(null, false);
    }
  }

  #onEvents(stream: Stream, header: Header, events: readonly WatchEvent[]): void {
    this.#recovered();
    const before = this.#told ?? 0n;
    let newest = events.length === 0 ? BigInt(header.revision ?? '0') : before;
    for (const { kv, deleted } of events) {
      const revision = BigInt(kv.mod_revision ?? '0');
      if (revision > newest) newest = revision;
      const key = relativeKey(this.#options.prefix, decodeText(kv.key));
      if (revision > before && key !== null) this.#tell(key, deleted);
      if (this.#stream !== stream) return;
    }
    // One revision's events arrive in one message, so what lies between is complete.
    if (newest > before) this.#told = newest;
  }

  #tell(key: string | null, deleted: boolean): void {
    try {
      this.#options.listener({ key, deleted });
    } catch (error) {
      this.#options.log.error('the listener of an etcd watch failed', { error: ensureError(error).message });
    }
  }

  #startOver(): void {
    this.#told = null;
    this.#behind = null;
    this.#generation = this.#options.gateway.guard.generation;
  }

  #drop(): void {
    const stream = this.#stream;
    this.#stream = null;
    this.#behind = null;
    this.#cancelOpen();
    stream?.close();
  }

  #fail(stream: Stream, reason: string): void {
    if (this.#closed || this.#stream !== stream) return;
    this.#options.log.debug(`etcd ${stream.endpoint}: the watch broke: ${reason}`, { endpoint: stream.endpoint });
    this.#failed.add(stream.endpoint);
    this.#drop();
    this.#retryLater(reason);
  }

  /**
   * At once after a stream that had stood; with growing pauses, and a look at every endpoint in
   * between, while none does.
   */
  #retryLater(reason: string): void {
    const { clock, log, gateway } = this.#options;
    const { pauseFirstMs, pauseMaxMs } = this.#timings;
    const endpoints = Math.max(1, gateway.pool.list().length);
    const round = Math.floor(this.#failures / endpoints);
    const pause = this.#failures === 0 ? 0 : Math.min(pauseMaxMs, pauseFirstMs * 2 ** Math.min(round, 10));
    this.#failures++;
    if (this.#failures === 2 * endpoints) log.warning(`no endpoint of etcd serves the watch: ${reason}`);
    this.#cancelReconnect();
    this.#cancelReconnect = clock.timer(pause * (0.75 + clock.random() / 2), () => this.#connect());
  }

  #tick(isCalm = false): void {
    this.#cancelTick();
    this.#tickIsFar = isCalm;
    this.#cancelTick = this.#options.clock.timer((isCalm ? CALM_TICKS : 1) * this.#timings.tickMs, () => {
      this.#check();
      if (!this.#closed) this.#tick(this.#stream?.createdAtMs != null && this.#behind === null);
    });
  }

  #check(): void {
    const stream = this.#stream;
    if (!stream || stream.createdAtMs === null) return;
    const { clock, gateway } = this.#options;
    const now = clock.monotonicMs();
    if (now - stream.createdAtMs > this.#timings.behindMs) this.#recovered();
    if (this.#generation !== gateway.guard.generation) {
      this.#startOver();
      this.#fail(stream, 'the history of etcd has changed');
    } else if (this.#isBehind(now)) {
      this.#fail(stream, 'changes seen elsewhere were not told');
    } else if (now - stream.heardAtMs > this.#timings.idleMs) {
      this.#drop();
      this.#connect();
    } else if (now - (gateway.pool.answeredAt(stream.endpoint) ?? Number.NEGATIVE_INFINITY) > this.#timings.proofMs) {
      void this.#probe(stream);
    }
  }

  /** A watch stands again: the next failure is a first one. */
  #recovered(): void {
    this.#failures = 0;
    this.#failed.clear();
  }

  #isBehind(now: number): boolean {
    const revision = this.#options.progress.newest(this.#generation);
    if (this.#told === null || revision <= this.#told) {
      this.#behind = null;
      return false;
    }
    // Measured on one revision: a stream that keeps up with a delay is slow, not dead.
    if (this.#behind === null || this.#behind.revision <= this.#told) this.#behind = { revision, sinceMs: now };
    return now - this.#behind.sinceMs >= this.#timings.behindMs;
  }

  /**
   * A linearizable read at the stream's own member: cut off or frozen, it cannot answer; lagging,
   * the answer shows what was not told.
   */
  async #probe(stream: Stream): Promise<void> {
    if (this.#probing) return;
    this.#probing = true;
    const { gateway, prefix, progress } = this.#options;
    const range = { key: encodeText(prefix), range_end: encodePrefixEnd(prefix) };
    const body = { ...range, sort_order: 'DESCEND', sort_target: 'MOD', limit: '1', keys_only: true };
    try {
      const spec = { path: '/kv/range', body, timeoutMs: this.#timings.probeTimeoutMs, consensus: true };
      const { kvs } = await gateway.callOn(stream.endpoint, spec);
      const newest = Array.isArray(kvs) && isRecord(kvs[0]) ? kvs[0]['mod_revision'] : null;
      if (typeof newest === 'string') progress.changed(BigInt(newest));
      if (this.#stream === stream) this.#recovered();
    } catch (error) {
      this.#fail(stream, ensureError(error).message);
    } finally {
      this.#probing = false;
    }
  }
}
