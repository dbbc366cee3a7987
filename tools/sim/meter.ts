/**
 * How far the work is: one line that is rewritten on a terminal, and a line now and then elsewhere.
 */
import type { Tally } from './tally.ts';

export interface MeterOutput {
  readonly write: (text: string) => void;
  readonly isTerminal: boolean;
  readonly columns: () => number;
}

export const terminalOf = (stream: NodeJS.WriteStream): MeterOutput => ({
  write: (text) => void stream.write(text),
  isTerminal: stream.isTTY === true,
  columns: () => stream.columns ?? 80,
});

const REDRAW_MS = 250;
const PLAIN_EVERY_MS = 15_000;
const CLEAR_LINE = '\r\u001b[K';

export const count = (value: number): string => Math.round(value).toLocaleString('en-US');

export function span(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 100) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 100 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}

/** `83.2 cluster-hours in 12 s, 416 a minute`. */
export function pace(tally: Tally, elapsedMs: number): string {
  const hours = tally.hours < 100 ? tally.hours.toFixed(1) : count(tally.hours);
  return `${hours} cluster-hours in ${span(elapsedMs)}, ${count(tally.hours / (Math.max(elapsedMs, 1) / 60_000))} a minute`;
}

export class Meter {
  readonly #output: MeterOutput;
  readonly #now: () => number;
  readonly #begun: number;
  readonly #timer: NodeJS.Timeout;
  #line: () => string = () => '';
  #drawn = false;
  #plainAt: number;

  constructor(output: MeterOutput, now: () => number = Date.now) {
    this.#output = output;
    this.#now = now;
    this.#begun = now();
    this.#plainAt = this.#begun;
    this.#timer = setInterval(() => this.tick(), REDRAW_MS);
    this.#timer.unref();
  }

  get elapsedMs(): number {
    return this.#now() - this.#begun;
  }

  /** What to show from now on. */
  show(line: () => string): void {
    this.#line = line;
  }

  tick(): void {
    const text = this.#line();
    if (text === '') return;
    if (this.#output.isTerminal) {
      this.#output.write(`${CLEAR_LINE}${text.slice(0, Math.max(20, this.#output.columns() - 1))}`);
      this.#drawn = true;
    } else if (this.#now() - this.#plainAt >= PLAIN_EVERY_MS) {
      this.#plainAt = this.#now();
      this.#output.write(`${text}\n`);
    }
  }

  /** Makes room for something that stays. */
  clear(): void {
    if (this.#drawn) this.#output.write(CLEAR_LINE);
    this.#drawn = false;
  }

  end(): void {
    clearInterval(this.#timer);
    this.clear();
    this.#line = () => '';
  }
}
