/**
 * The link that this agent opens to one member. Questions go over the open one; without one they
 * wait for it.
 *
 * After a network was cut for some seconds, TCP repeats what was lost only after a pause as long as
 * the cut. So a link on which nothing was heard for a while is replaced by a new one, which is
 * dialled beside it. The member ends the one before when it takes the new one: that keeps messages
 * in order.
 */
import type { Clock } from '../../ports/clock.ts';
import type { JsonObject } from '../../support/json.ts';
import type { Dialed } from './link-dial.ts';
import { type Line, lineOf, Wire } from './link-wire.ts';

/** From the end of one try to the beginning of the next. */
const REDIAL_MS = 200;
/** The same, where the member answers that it opens no link. */
const REDIAL_REFUSED_MS = 2000;
/** A question has waited for so long, and nothing was heard meanwhile: another link is tried. */
const DEAF_MS = 1000;

export interface OutgoingLinkOptions {
  readonly clock: Clock;
  /** `n` counts the tries. Never rejects. */
  readonly dial: (n: number, signal: AbortSignal) => Promise<Dialed>;
  /** After every try. */
  readonly onDialed: (dialed: Dialed) => void;
}

interface Open {
  readonly line: string;
  readonly deadlineMs: number;
  readonly settle: (answer: JsonObject | null) => void;
  /** Null: not sent yet. */
  wire: Wire | null;
}

export class OutgoingLink {
  readonly #options: OutgoingLinkOptions;
  readonly #closing = new AbortController();
  /** In the order in which they were asked. */
  readonly #open = new Map<number, Open>();
  #lastId = 0;
  #wire: Wire | null = null;
  /** Since when the wire owes an answer without a sign of life; null: it owes none. */
  #deafSinceMs: number | null = null;
  #dials = 0;
  #isDialing = false;
  #mayDialAtMs = 0;
  #cancelRedial: (() => void) | null = null;
  /** One timer for all questions, set for the deadline that was the earliest when it was set. */
  #expiry: { readonly atMs: number; readonly cancel: () => void } | null = null;

  constructor(options: OutgoingLinkOptions) {
    this.#options = options;
  }

  /** Null also for a message that is too large. */
  ask(message: JsonObject, timeoutMs: number): Promise<JsonObject | null> {
    const id = ++this.#lastId;
    const line = lineOf('?', id, message);
    if (line === null || this.#closing.signal.aborted) return Promise.resolve(null);
    return new Promise((settle) => {
      const now = this.#options.clock.monotonicMs();
      const open: Open = { line, deadlineMs: now + timeoutMs, settle, wire: null };
      this.#open.set(id, open);
      this.#expireAt(open.deadlineMs, now);
      if (this.#wire !== null) this.#send(id, open, this.#wire, now);
      if (this.#wire === null || this.#isDeaf(now)) this.#dialSoon(now);
    });
  }

  close(): void {
    this.#closing.abort();
    this.#cancelRedial?.();
    this.#expiry?.cancel();
    this.#wire?.end();
    this.#settleAll(() => true);
  }

  #send(id: number, open: Open, wire: Wire, now: number): void {
    open.wire = wire;
    if (wire.send(open.line)) this.#deafSinceMs ??= now;
    else this.#settle(id, open, null);
  }

  #isDeaf(now: number): boolean {
    return this.#deafSinceMs !== null && now - this.#deafSinceMs > DEAF_MS;
  }

  #dialSoon(now: number): void {
    if (this.#isDialing || this.#cancelRedial !== null) return;
    if (now >= this.#mayDialAtMs) void this.#dial();
    else {
      this.#cancelRedial = this.#options.clock.timer(this.#mayDialAtMs - now, () => {
        this.#cancelRedial = null;
        if (this.#wire === null ? this.#open.size > 0 : this.#isDeaf(this.#options.clock.monotonicMs())) void this.#dial();
      });
    }
  }

  async #dial(): Promise<void> {
    this.#isDialing = true;
    const dialed = await this.#options.dial(++this.#dials, this.#closing.signal);
    this.#isDialing = false;
    if (this.#closing.signal.aborted) {
      if (dialed.kind === 'open') dialed.socket.destroy();
      return;
    }
    const now = this.#options.clock.monotonicMs();
    this.#mayDialAtMs = now + (dialed.kind === 'refused' ? REDIAL_REFUSED_MS : REDIAL_MS);
    this.#options.onDialed(dialed);
    if (dialed.kind === 'open') this.#opened(dialed, now);
    else this.#settleAll(({ wire }) => wire === null);
  }

  #opened({ socket, head }: Dialed & { kind: 'open' }, now: number): void {
    const before = this.#wire;
    const wire: Wire = new Wire(socket, head, {
      onLine: (line) => this.#answered(wire, line),
      onEnd: () => this.#lost(wire),
    });
    this.#wire = wire;
    this.#deafSinceMs = null;
    before?.end();
    if (before !== null) this.#settleAll((open) => open.wire === before);
    for (const [id, open] of this.#open) if (open.wire === null) this.#send(id, open, wire, now);
  }

  #answered(wire: Wire, { kind, id, body }: Line): void {
    if (kind !== '!') {
      wire.end();
      this.#lost(wire);
      return;
    }
    const open = this.#open.get(id);
    if (open !== undefined) this.#settle(id, open, body);
    // Answers to questions given up are signs of life as well.
    this.#deafSinceMs = this.#open.size === 0 ? null : this.#options.clock.monotonicMs();
  }

  #lost(wire: Wire): void {
    if (this.#wire === wire) {
      this.#wire = null;
      this.#deafSinceMs = null;
    }
    this.#settleAll((open) => open.wire === wire);
  }

  #settleAll(which: (open: Open) => boolean): void {
    for (const [id, open] of this.#open) if (which(open)) this.#settle(id, open, null);
  }

  #settle(id: number, open: Open, answer: JsonObject | null): void {
    this.#open.delete(id);
    open.settle(answer);
  }

  /** Most questions are answered long before: the timer finds none left, and is not set again. */
  #expireAt(atMs: number, now: number): void {
    if (this.#expiry !== null && this.#expiry.atMs <= atMs) return;
    this.#expiry?.cancel();
    this.#expiry = { atMs, cancel: this.#options.clock.timer(atMs - now, () => this.#expire()) };
  }

  #expire(): void {
    this.#expiry = null;
    const now = this.#options.clock.monotonicMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [id, open] of this.#open) {
      if (open.deadlineMs <= now) this.#settle(id, open, null);
      else nextMs = Math.min(nextMs, open.deadlineMs);
    }
    if (nextMs < Number.POSITIVE_INFINITY) this.#expireAt(nextMs, now);
  }
}
