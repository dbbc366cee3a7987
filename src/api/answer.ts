/** The answer to a request, and the errors that become answers. */

import { STATUS_CODES } from 'node:http';
import { headerText, REASON_HEADER } from '../dialect/own-headers.ts';
import { stringifyDefault } from '../support/big-json.ts';
import { RegentError } from '../support/errors.ts';
import type { JsonValue } from '../support/json.ts';

export interface Answer {
  readonly status: number;
  readonly type: 'application/json' | 'text/html' | 'text/plain';
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The request itself is wrong; the message says what is wrong with it. */
export class RequestProblem extends RegentError {
  readonly status: number;

  constructor(status: number, message: string, mend: string) {
    super('REST_BAD_REQUEST', message, { mend });
    this.status = status;
  }
}

export function json(status: number, value: JsonValue): Answer {
  return { status, type: 'application/json', body: stringifyDefault(value) };
}

/** A fixed sentence, with the content type that Patroni uses for it. */
export function text(status: number, message: string): Answer {
  return { status, type: 'text/html', body: message };
}

/** Patroni's sentence for a refusal. Why it is one goes beside it; null: the sentence says all. */
export function refused(status: number, message: string, reason: string | null): Answer {
  return { ...text(status, message), ...(reason === null ? {} : { headers: { [REASON_HEADER]: headerText(reason) } }) };
}

/**
 * A sentence that repeats words of the caller. It is plain text, so that no browser executes them.
 */
export function plain(status: number, message: string): Answer {
  return { status, type: 'text/plain', body: message };
}

/**
 * The whole answer to a check that nobody reads the body of, as Patroni sends it: no header, and
 * the connection ends. HTTP/1.0 says that it does.
 */
export function codeAlone(status: number): string {
  return `HTTP/1.0 ${status} ${STATUS_CODES[status]}\r\n\r\n`;
}
