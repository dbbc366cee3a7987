/**
 * A round that fails like the one before says nothing new: an etcd without room refuses the same
 * write in every round.
 */
import type { Log } from '../ports/log.ts';
import { codeOf, ensureError } from '../support/errors.ts';

export class FailureLog {
  readonly #log: Log;
  #last: string | null = null;

  constructor(log: Log) {
    this.#log = log;
  }

  failed(error: unknown): void {
    const { message, stack } = ensureError(error);
    const unexpected = codeOf(error) === null;
    const text = `${unexpected ? 'Unexpected exception raised, please report it as a BUG: ' : ''}${message}`;
    this.#log[text === this.#last ? 'debug' : 'error'](text, { code: codeOf(error), ...(unexpected ? { stack } : {}) });
    this.#last = text;
  }

  /** A round came to its end: the next failure is a first one. */
  passed(): void {
    this.#last = null;
  }
}
