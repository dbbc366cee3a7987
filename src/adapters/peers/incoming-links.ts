/**
 * The links that other agents have opened to this one. REST has checked that they may; here they
 * are kept, one for each agent, and their questions are answered.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import type { LinkListener } from '../../ports/links.ts';
import type { Log } from '../../ports/log.ts';
import { ensureError } from '../../support/errors.ts';
import type { JsonObject } from '../../support/json.ts';
import { LINK_HEADERS, LINK_PROTOCOL, type Line, lineOf, Wire } from './link-wire.ts';

/** More than any cluster has members. */
const LINKS_MAX = 100;

const WELCOME = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${LINK_PROTOCOL}\r\n\r\n`;

export interface Opening {
  readonly headers: IncomingHttpHeaders;
  readonly socket: Duplex;
  /** Bytes that came after the request. */
  readonly head: Buffer;
}

export interface Refusal {
  readonly status: number;
  readonly message: string;
}

export interface IncomingLinksOptions {
  readonly me: () => { readonly name: string; readonly cluster: string };
  readonly listener: () => LinkListener | null;
  readonly log: Log;
}

interface Incoming {
  readonly process: string;
  readonly n: number;
  readonly wire: Wire;
}

export class IncomingLinks {
  readonly #options: IncomingLinksOptions;
  readonly #links = new Map<string, Incoming>();
  #isClosed = false;

  constructor(options: IncomingLinksOptions) {
    this.#options = options;
  }

  /** Null: the socket is taken. */
  accept({ headers, socket, head }: Opening): Refusal | null {
    const listener = this.#options.listener();
    const me = this.#options.me();
    const from = told(headers, 'from');
    const [process = '', count = ''] = told(headers, 'dial').split('.', 2);
    const n = Number(count);
    if (from === '' || process === '' || !Number.isSafeInteger(n)) return { status: 400, message: 'a link needs to say who opens it' };
    if (told(headers, 'to') !== me.name || told(headers, 'cluster') !== me.cluster) {
      return { status: 421, message: `this is member ${me.name} of ${me.cluster}` };
    }
    if (listener === null || this.#isClosed) return { status: 503, message: 'no links at present' };
    const before = this.#links.get(from);
    if (before === undefined && this.#links.size >= LINKS_MAX) return { status: 503, message: 'too many links' };
    // Tries that were given up long ago may be read late, after a pause of this process.
    if (before?.process === process && before.n > n) return { status: 409, message: 'a later link is open' };
    socket.write(WELCOME);
    const wire: Wire = new Wire(socket, head, {
      onLine: (line) => this.#asked(listener, from, wire, line),
      onEnd: () => this.#ended(listener, from, wire),
    });
    this.#links.set(from, { process, n, wire });
    before?.wire.end();
    return null;
  }

  close(): void {
    this.#isClosed = true;
    for (const { wire } of this.#links.values()) wire.end();
    this.#links.clear();
  }

  #asked(listener: LinkListener, from: string, wire: Wire, { kind, id, body }: Line): void {
    if (kind !== '?' || body === null) {
      wire.end();
      this.#ended(listener, from, wire);
      return;
    }
    const reply = (answer: JsonObject | null) => this.#reply(listener, from, wire, id, answer);
    const answer = listener.asked(from, body);
    if (!(answer instanceof Promise)) reply(answer);
    else
      answer.then(reply, (error: unknown) => {
        this.#options.log.error(`a message of ${from} could not be answered: ${ensureError(error).message}`);
        reply(null);
      });
  }

  /** An agent that takes no answers gets no further ones: it may open another link. */
  #reply(listener: LinkListener, from: string, wire: Wire, id: number, answer: JsonObject | null): void {
    let line = lineOf('!', id, answer);
    if (line === null) {
      this.#options.log.error(`the answer to a message of ${from} is too large to be sent`);
      line = lineOf('!', id, null)!;
    }
    if (wire.ended || wire.send(line)) return;
    wire.end();
    this.#ended(listener, from, wire);
  }

  #ended(listener: LinkListener, from: string, wire: Wire): void {
    if (this.#links.get(from)?.wire !== wire) return;
    this.#links.delete(from);
    listener.lost(from);
  }
}

function told(headers: IncomingHttpHeaders, what: keyof typeof LINK_HEADERS): string {
  const value = headers[LINK_HEADERS[what]];
  try {
    return typeof value === 'string' ? decodeURIComponent(value) : '';
  } catch {
    return '';
  }
}
