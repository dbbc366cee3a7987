/** `-w SECONDS` and `-W`: repeat the command on a clean screen until Ctrl-C. */
import { sleep } from '../ports/clock.ts';
import { DcsError } from '../support/errors.ts';
import type { Ctx } from './context.ts';
import { localTime } from './time.ts';

export interface WatchOptions {
  /** `-w`, in seconds. */
  readonly watch?: number;
  /** `-W`. */
  readonly W?: boolean;
}

export interface Look {
  readonly text: string;
  /** For standard error; on a screen, below the text. Empty: nothing. */
  readonly aside: string;
}

const DEFAULT_SECONDS = 2;
const CLEAR = '\u001b[2J\u001b[1;1H';

/**
 * Prints what `look` returns, again and again. An outage of etcd makes single looks fail but does
 * not end the watch, so that the operator sees when the outage ends.
 */
export async function watching(ctx: Ctx, options: WatchOptions, clear: boolean, look: () => Promise<string | Look>): Promise<void> {
  const seconds = options.watch ?? (options.W ? DEFAULT_SECONDS : null);
  if (seconds === null || seconds === 0) {
    const { text, aside } = whole(await look());
    ctx.print(text);
    if (aside !== '') ctx.io.stderr.write(`${aside}\n`);
    return;
  }
  ctx.leaveOnInterrupt();
  const screen = new Screen(ctx, clear);
  while (!ctx.io.signal.aborted) {
    try {
      screen.show(whole(await look()));
    } catch (error) {
      if (!(error instanceof DcsError)) throw error;
      screen.stale(error);
    }
    await sleep(ctx.io.clock, seconds * 1000, ctx.io.signal);
  }
}

const whole = (looked: string | Look): Look => (typeof looked === 'string' ? { text: looked, aside: '' } : looked);

class Screen {
  readonly #ctx: Ctx;
  /** A file or a pipe gets no control sequences and no separator between two answers. */
  readonly #clears: boolean;
  #last: { readonly text: string; readonly atMs: number } | null = null;
  #aside = '';
  #failing: { readonly message: string; readonly sinceMs: number } | null = null;

  constructor(ctx: Ctx, clear: boolean) {
    this.#ctx = ctx;
    this.#clears = clear && ctx.io.stdout.isTTY === true;
  }

  show({ text: shown, aside }: Look): void {
    const text = this.#clears && aside !== '' ? `${shown}\n ${aside.replaceAll('\n', '\n ')}` : shown;
    if (this.#failing !== null && !this.#clears) this.#ctx.io.stderr.write('etcd can be read again\n');
    this.#failing = null;
    this.#last = { text, atMs: this.#ctx.io.clock.wallMs() };
    this.#draw(text);
    if (!this.#clears && aside !== '' && aside !== this.#aside) this.#ctx.io.stderr.write(`${aside}\n`);
    this.#aside = aside;
  }

  /**
   * On a terminal the last answer stays, with its age. Elsewhere a message says when the failure
   * starts and when its cause changes.
   */
  stale({ message }: DcsError): void {
    const nowMs = this.#ctx.io.clock.wallMs();
    const isNews = this.#failing?.message !== message;
    this.#failing = { message, sinceMs: this.#failing?.sinceMs ?? nowMs };
    const age = this.#last === null ? '' : `Not current: as of ${localTime(this.#last.atMs, 0)}. `;
    const line = `${age}etcd cannot be read since ${localTime(this.#failing.sinceMs, 0)}: ${message}`;
    if (this.#clears) this.#draw(`${this.#last === null ? '' : `${this.#last.text}\n`} ${line}`);
    else if (isNews) this.#ctx.io.stderr.write(`${line}\n`);
  }

  #draw(text: string): void {
    if (this.#clears) this.#ctx.io.stdout.write(CLEAR);
    this.#ctx.print(text);
  }
}
