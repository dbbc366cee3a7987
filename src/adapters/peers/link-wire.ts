/**
 * One open link: a message is a line of JSON. `?17 {…}` asks, `!17 {…}` or `!17 null` answers that
 * question. Only the side that opened the link asks.
 */
import type { Duplex } from 'node:stream';
import { isJsonObject, parseJson, stringifyCompact } from '../../support/big-json.ts';
import type { JsonObject } from '../../support/json.ts';

/** The name of the protocol in HTTP's `Upgrade` header. */
export const LINK_PROTOCOL = 'regent-link';

/** The headers that open a link. */
export const LINK_HEADERS = {
  /** Who opens it, and whom he means; encoded as in a URL. */
  from: 'regent-from',
  to: 'regent-to',
  /** Prefix of the cluster's keys; encoded as in a URL. */
  cluster: 'regent-cluster',
  /** `<process>.<n>`: the n-th link to this member that the process opens. */
  dial: 'regent-dial',
} as const;

/** A relayed reading of a whole cluster's keys must fit. */
export const MESSAGE_MAX_BYTES = 1024 * 1024;
/** Of bytes that the other side does not take. */
const BACKLOG_MAX_BYTES = 2 * MESSAGE_MAX_BYTES;
/**
 * The kernel ends a link of which the other machine has acknowledged nothing for about this long
 * and ten seconds more.
 */
const KEEPALIVE_MS = 5000;
const LINE_FEED = 0x0a;
/** Characters of a body that is worth remembering. */
const REMEMBERED_MAX = 300;

export interface Line {
  readonly kind: '?' | '!';
  readonly id: number;
  readonly body: JsonObject | null;
}

/** Null: larger than a message may be. */
export function lineOf(kind: Line['kind'], id: number, body: JsonObject | null): string | null {
  const line = `${kind}${id} ${textOf(body)}\n`;
  // A character takes three bytes at most.
  return line.length * 3 <= MESSAGE_MAX_BYTES || Buffer.byteLength(line) <= MESSAGE_MAX_BYTES ? line : null;
}

/** Beats say the same again and again: the last body, and its text. */
let lastSaid: { readonly body: JsonObject; readonly text: string } | null = null;

function textOf(body: JsonObject | null): string {
  if (body === null) return 'null';
  if (lastSaid?.body === body) return lastSaid.text;
  const text = textOfNew(body);
  lastSaid = text.length > REMEMBERED_MAX ? null : { body, text };
  return text;
}

/** JSON.stringify takes a fraction of the time, and refuses the bigints of stringifyCompact. */
function textOfNew(body: JsonObject): string {
  try {
    return JSON.stringify(body);
  } catch {
    return stringifyCompact(body);
  }
}

/** Likewise: the last text that came, and what it means. Nobody changes a message. */
let lastHeard: { readonly text: string; readonly body: JsonObject } | null = null;

/** Null: neither an object nor null. Throws RegentError when the JSON is broken. */
function bodyOf(text: string): { readonly body: JsonObject | null } | null {
  if (lastHeard?.text === text) return lastHeard;
  const body = parseJson(text);
  if (body !== null && !isJsonObject(body)) return null;
  if (body !== null && text.length <= REMEMBERED_MAX) lastHeard = { text, body };
  return { body };
}

/** Null: not a line of this protocol. Throws RegentError when the JSON is broken. */
function parseLine(text: string): Line | null {
  const space = text.indexOf(' ');
  const kind = text[0];
  const id = Number(text.slice(1, space));
  if (space < 2 || (kind !== '?' && kind !== '!') || !Number.isSafeInteger(id)) return null;
  const told = bodyOf(text.slice(space + 1));
  return told === null ? null : { kind, id, body: told.body };
}

export interface WireHandlers {
  /** Not after the link has ended. */
  readonly onLine: (line: Line) => void;
  /** Once; not when this side has called end(). */
  readonly onEnd: () => void;
}

export class Wire {
  readonly #socket: Duplex;
  readonly #handlers: WireHandlers;
  /** The beginning of a line whose rest has not come yet. */
  #pieces: Buffer[] = [];
  #size = 0;
  #ended = false;

  /** `head`: what had come already when the socket was handed over. */
  constructor(socket: Duplex, head: Buffer, handlers: WireHandlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    tune(socket);
    if (head.length > 0) socket.unshift(head);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    // Its other half would stay open: HTTP's sockets are made so.
    socket.on('end', () => this.#break());
    socket.on('error', () => this.#break());
    socket.on('close', () => this.#break());
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** False: the other side does not take what was sent before. */
  send(line: string): boolean {
    if (this.#ended || this.#socket.writableLength > BACKLOG_MAX_BYTES) return false;
    this.#socket.write(line);
    return true;
  }

  end(): void {
    this.#ended = true;
    this.#socket.destroy();
  }

  #break(): void {
    if (this.#ended) return;
    this.end();
    this.#handlers.onEnd();
  }

  #take(chunk: Buffer): void {
    let start = 0;
    for (let at = chunk.indexOf(LINE_FEED); at >= 0; at = chunk.indexOf(LINE_FEED, start)) {
      const text = this.#size === 0 ? chunk.toString('utf8', start, at) : this.#joined(chunk.subarray(start, at));
      start = at + 1;
      this.#read(text);
      if (this.#ended) return;
    }
    if (start === chunk.length) return;
    this.#pieces.push(start === 0 ? chunk : chunk.subarray(start));
    this.#size += chunk.length - start;
    if (this.#size > MESSAGE_MAX_BYTES) this.#break();
  }

  #joined(last: Buffer): string {
    const text = Buffer.concat([...this.#pieces, last]).toString('utf8');
    this.#pieces = [];
    this.#size = 0;
    return text;
  }

  #read(text: string): void {
    let line: Line | null = null;
    try {
      line = parseLine(text);
    } catch {}
    if (line === null) this.#break();
    else this.#handlers.onLine(line);
  }
}

function tune(socket: Duplex): void {
  if ('setTimeout' in socket && typeof socket.setTimeout === 'function') socket.setTimeout(0);
  if ('setNoDelay' in socket && typeof socket.setNoDelay === 'function') socket.setNoDelay(true);
  if ('setKeepAlive' in socket && typeof socket.setKeepAlive === 'function') socket.setKeepAlive(true, KEEPALIVE_MS);
}
