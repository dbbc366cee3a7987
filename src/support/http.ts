/**
 * The one HTTP client: an exchange with a deadline and a bound on the answer. Connections are plain
 * or encrypted, and kept or used once.
 */
import {
  type ClientRequest,
  type Agent as HttpAgent,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
} from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import type { LookupFunction } from 'node:net';
import { codeOf, ensureError } from './errors.ts';
import { plural } from './plural.ts';

/** What a connection is encrypted with; it counts for https alone. */
export type TlsOptions = Pick<
  RequestOptions,
  'ca' | 'cert' | 'key' | 'passphrase' | 'rejectUnauthorized' | 'checkServerIdentity' | 'servername'
>;

export interface HttpRequest {
  /** Default GET. */
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  /** Sent with its length, unless the headers say that it comes in chunks. */
  readonly body?: string | Buffer | null;
  readonly tls?: TlsOptions;
  /**
   * Keeps connections. Default: one of its own for this call, so that a program ends when its work
   * is done, not when a pool of sockets does.
   */
  readonly agent?: HttpAgent;
  readonly lookup?: LookupFunction;
}

export interface Bounds {
  /** For all of it, from now on. Default: as long as `signal` leaves it. */
  readonly timeoutMs?: number;
  /** Time for making the connection, if that must be less. */
  readonly connectMs?: number;
  /** Aborting gives the exchange up. */
  readonly signal?: AbortSignal;
  /** Default 16 MiB. */
  readonly maxBytes?: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
}

const MAX_BYTES = 16 * 1024 * 1024;
const GIVEN_UP = 'given up';

/** No whole answer came; the message says why. */
export class HttpFailure extends Error {
  /**
   * Whether somebody took the connection: a kernel does, even for a process that is stopped. With
   * TLS the two may greet each other later, or never.
   */
  readonly connected: boolean;
  /** False: the connection never stood, so the request certainly had no effect. */
  readonly sent: boolean;
  /** A kept connection broke: the other side may just have closed it, which says nothing of it. */
  readonly stale: boolean;
  /** It was given time, and used it up. */
  readonly late: boolean;

  constructor(message: string, facts: Pick<HttpFailure, 'connected' | 'sent' | 'stale' | 'late'>, cause?: unknown) {
    super(message, { cause });
    this.name = 'HttpFailure';
    this.connected = facts.connected;
    this.sent = facts.sent;
    this.stale = facts.stale;
    this.late = facts.late;
  }
}

/** The value of the `Authorization` header. */
export function basicAuth(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** A request whose answer the caller reads himself; throws where it cannot even be begun. */
export function openRequest(url: URL | string, { method = 'GET', headers, body, tls, agent, lookup }: HttpRequest): ClientRequest {
  const secure = (typeof url === 'string' ? url : url.protocol).startsWith('https:');
  const inChunks = Object.keys(headers ?? {}).some((name) => name.toLowerCase() === 'transfer-encoding');
  const length = body == null || inChunks ? {} : { 'content-length': Buffer.byteLength(body) };
  const options = {
    method,
    headers: { ...length, ...headers },
    agent: agent ?? (false as const),
    ...(lookup === undefined ? {} : { lookup }),
    ...(secure ? tls : {}),
  };
  return (secure ? httpsRequest : httpRequest)(url, options);
}

/** Any status is an answer. Rejects with HttpFailure. */
export function exchange(url: URL | string, request: HttpRequest, bounds: Bounds): Promise<HttpAnswer> {
  // A kept connection would carry it away before anybody could say no.
  if (bounds.signal?.aborted)
    return Promise.reject(new HttpFailure(GIVEN_UP, { connected: false, sent: false, stale: false, late: false }));
  return new Promise((resolve, reject) => {
    const sending = openRequest(url, request);
    const way = watchWay(sending);
    const stop = watchBounds(sending, bounds, (error, late) => fail(error, late));
    const fail = (cause: unknown, late = false) => {
      stop();
      const stale = sending.reusedSocket && BROKEN.has(codeOf(cause) ?? '');
      reject(new HttpFailure(reasonOf(cause), { ...way, stale, late }, cause));
      sending.destroy();
    };
    sending.on('error', fail);
    sending.on('response', (response) => {
      collect(response, bounds.maxBytes ?? MAX_BYTES).then((text) => {
        stop();
        resolve({ status: response.statusCode ?? 0, text, headers: response.headers });
      }, fail);
    });
    sending.end(request.body ?? undefined);
  });
}

/** How a kept connection ends that the other side has closed meanwhile. */
const BROKEN: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE']);

/** Calls back when the time is up or the caller gives up, unless it is stopped before. */
function watchBounds(
  sending: ClientRequest,
  { timeoutMs, connectMs, signal }: Bounds,
  fail: (error: Error, late: boolean) => void,
): () => void {
  const after = (ms: number, what: string) => setTimeout(() => fail(new Error(`no ${what} within ${inWords(ms)}`), true), ms);
  const answering = timeoutMs === undefined ? null : after(timeoutMs, 'answer');
  const isLess = connectMs !== undefined && connectMs < (timeoutMs ?? Number.POSITIVE_INFINITY);
  const connecting = isLess ? after(connectMs, 'connection') : null;
  sending.on('socket', (socket) => {
    if (connecting === null) return;
    if (socket.connecting) socket.once('connect', () => clearTimeout(connecting));
    else clearTimeout(connecting);
  });
  const abort = () => fail(new Error(GIVEN_UP), false);
  signal?.addEventListener('abort', abort, { once: true });
  return () => {
    if (answering !== null) clearTimeout(answering);
    if (connecting !== null) clearTimeout(connecting);
    signal?.removeEventListener('abort', abort);
  };
}

/** How far it has come. */
function watchWay(sending: ClientRequest): Pick<HttpFailure, 'connected' | 'sent'> {
  const way = { connected: false, sent: false };
  sending.on('socket', (socket) => {
    if (!socket.connecting) {
      // A kept one, which must not gather a listener with each request.
      Object.assign(way, { connected: true, sent: true });
      return;
    }
    socket.once('connect', () => {
      way.connected = true;
      way.sent ||= !('encrypted' in socket);
    });
    socket.once('secureConnect', () => {
      way.sent = true;
    });
  });
  return way;
}

function collect(response: IncomingMessage, maxBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    response.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) response.destroy(new Error(`the answer is larger than ${maxBytes} bytes`));
      else chunks.push(chunk);
    });
    response.on('error', reject);
    // 'end' comes before it where the answer is whole.
    response.on('close', () => reject(new Error('the connection was closed in the middle of the answer')));
    response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
  });
}

const inWords = (ms: number) => (ms < 1000 ? `${Math.round(ms)} ms` : plural(ms / 1000, 'second'));

/** Node reports a host with several addresses as one error without a message of its own. */
export function reasonOf(cause: unknown): string {
  const error = ensureError(cause);
  if (error.message !== '') return error.message;
  const inner = error instanceof AggregateError ? error.errors.map((each) => ensureError(each).message).join('; ') : '';
  return inner || codeOf(error) || error.name;
}
