/**
 * Says what is being waited for and for how long: on a terminal by rewriting one line, elsewhere by
 * plain lines now and then.
 */
import { styleText } from 'node:util';

export interface ProgressOutput {
  readonly write: (text: string) => void;
  readonly isTerminal: boolean;
  /** Width of the terminal in columns. */
  readonly columns: () => number;
}

const REDRAW_MS = 100;
const PLAIN_EVERY_MS = 5000;
const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const CLEAR_LINE = '\r\u001b[K';

export function formatSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export class Progress {
  readonly #output: ProgressOutput;
  readonly #now: () => number;
  readonly #begun: number;
  #current: { title: string; detail: string; since: number } | null = null;
  #timer: NodeJS.Timeout | null = null;
  #frame = 0;
  #plainAt = 0;
  #plainText = '';

  constructor(output: ProgressOutput, now: () => number = Date.now) {
    this.#output = output;
    this.#now = now;
    this.#begun = now();
  }

  /** Since the first step. */
  elapsedMs(): number {
    return this.#now() - this.#begun;
  }

  /** A fact worth a line of its own. */
  note(text: string): void {
    this.#clear();
    this.#output.write(`${text}\n`);
    this.#draw();
  }

  begin(title: string): void {
    this.#current = { title, detail: '', since: this.#now() };
    this.#plainText = '';
    this.#plainAt = this.#now();
    if (this.#output.isTerminal) this.#timer ??= setInterval(() => this.#draw(), REDRAW_MS).unref();
    this.#draw();
  }

  /** What exactly is being waited for now. */
  waitingFor(detail: string): void {
    if (this.#current && this.#current.detail !== detail) {
      this.#current.detail = detail;
      this.#draw();
    }
    this.#drawPlainly();
  }

  /** The step is done; `result` replaces its title. */
  done(result: string): void {
    const since = this.#current?.since ?? this.#now();
    this.end();
    this.#output.write(`${this.#output.isTerminal ? styleText('green', '✓') : '✓'} ${result} (${formatSeconds(this.#now() - since)})\n`);
  }

  /** Ends the step without a word; the caller says what went wrong. */
  end(): void {
    this.#clear();
    this.#current = null;
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  #clear(): void {
    if (this.#output.isTerminal && this.#current) this.#output.write(CLEAR_LINE);
  }

  #draw(): void {
    if (!this.#current || !this.#output.isTerminal) return;
    this.#frame = (this.#frame + 1) % FRAMES.length;
    const line = `${FRAMES[this.#frame]} ${this.#current.title} ${formatSeconds(this.#now() - this.#current.since)} ${this.#current.detail}`;
    this.#output.write(`${CLEAR_LINE}${line.slice(0, Math.max(20, this.#output.columns() - 1))}`);
  }

  #drawPlainly(): void {
    if (!this.#current || this.#output.isTerminal) return;
    const { title, detail, since } = this.#current;
    const changed = detail !== this.#plainText;
    if (!changed && this.#now() - this.#plainAt < PLAIN_EVERY_MS) return;
    this.#plainText = detail;
    this.#plainAt = this.#now();
    this.#output.write(`  ${title} ${formatSeconds(this.#now() - since)} ${detail}\n`);
  }
}
