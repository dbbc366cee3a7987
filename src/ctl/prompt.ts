/**
 * Questions to the operator, worded and answered as in patronictl: `<text> [<default>]: ` and
 * `<text> [y/N]: `. The end of the input and Ctrl-C answer every question with no: Aborted.
 */
import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';
import { Aborted } from './errors.ts';
import type { CtlIo } from './io.ts';

export class Prompter {
  readonly #io: Pick<CtlIo, 'stdin' | 'stdout'>;
  /**
   * Input that is not a terminal is read ahead, because lines that arrive together must not be lost
   * between two questions.
   */
  #piped: { readonly reader: Interface; readonly lines: AsyncIterator<string> } | null = null;

  constructor(io: Pick<CtlIo, 'stdin' | 'stdout'>) {
    this.#io = io;
  }

  /** An empty answer means the default. Without a default, the question is asked again. */
  async text(question: string, options: { readonly fallback?: string; readonly hidden?: boolean } = {}): Promise<string> {
    const shown = options.fallback === undefined ? `${question}: ` : `${question} [${options.fallback}]: `;
    for (;;) {
      const answer = await this.#ask(shown, options.hidden ?? false);
      if (answer !== '') return answer;
      if (options.fallback !== undefined) return options.fallback;
    }
  }

  /** Empty means no. */
  async confirm(question: string): Promise<boolean> {
    for (;;) {
      const answer = (await this.#ask(`${question} [y/N]: `, false)).trim().toLowerCase();
      if (answer === 'y' || answer === 'yes') return true;
      if (answer === '' || answer === 'n' || answer === 'no') return false;
      this.#io.stdout.write('Error: invalid input\n');
    }
  }

  close(): void {
    this.#piped?.reader.close();
    this.#piped = null;
  }

  async #ask(shown: string, hidden: boolean): Promise<string> {
    if (this.#io.stdin.isTTY) return this.#askTerminal(shown, hidden);
    this.#io.stdout.write(shown);
    if (!this.#piped) {
      const reader = createInterface({ input: this.#io.stdin, crlfDelay: Number.POSITIVE_INFINITY });
      this.#piped = { reader, lines: reader[Symbol.asyncIterator]() };
    }
    const next = await this.#piped.lines.next();
    if (next.done) throw new Aborted();
    return next.value;
  }

  #askTerminal(shown: string, hidden: boolean): Promise<string> {
    const stdout = this.#io.stdout;
    let muted = false;
    const output = new Writable({
      write(chunk, _encoding, done) {
        if (!muted) stdout.write(String(chunk));
        done();
      },
    });
    return new Promise((resolve, reject) => {
      const reader = createInterface({ input: this.#io.stdin, output, terminal: true, historySize: 0 });
      let answered = false;
      reader.on('SIGINT', () => reader.close());
      reader.on('close', () => {
        if (answered) return;
        stdout.write('\n');
        reject(new Aborted());
      });
      reader.question(shown, (answer) => {
        answered = true;
        reader.close();
        if (hidden) stdout.write('\n');
        resolve(answer);
      });
      muted = hidden;
    });
  }
}
