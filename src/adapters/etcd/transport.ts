/**
 * HTTP to one endpoint: kept-alive connections, TLS, bounded answers, and the knowledge of whether
 * a request went out at all.
 */
import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { LookupFunction } from 'node:net';
import type { EtcdSettings } from '../../core/settings.ts';
import type { Clock } from '../../ports/clock.ts';
import { codeOf, ensureError } from '../../support/errors.ts';
import { cachingLookup } from './dns-cache.ts';
import { readTlsMaterial, sameMaterial, type TlsMaterial } from './tls.ts';

export interface Exchange {
  readonly status: number;
  readonly text: string;
}

export interface StreamHandlers {
  /** Text as it arrives, cut anywhere. */
  readonly onText: (text: string) => void;
  /** Once: the stream ended, failed or was refused. Never after close(). */
  readonly onEnd: (reason: string) => void;
}

/** `sent` false: the connection never stood, so the request certainly had no effect. */
export class TransportError extends Error {
  readonly sent: boolean;

  constructor(message: string, sent: boolean, cause?: unknown) {
    super(message, { cause });
    this.name = 'TransportError';
    this.sent = sent;
  }
}

/**
 * A whole cluster's keys are a few hundred kilobytes; etcd itself refuses requests above 1.5 MB by
 * default.
 */
const ANSWER_MAX_BYTES = 64 * 1024 * 1024;
const KEEPALIVE_PROBE_MS = 5000;

export class Transport {
  readonly #settings: EtcdSettings;
  readonly #lookup: LookupFunction;
  readonly #plain = new HttpAgent({ keepAlive: true, maxSockets: 32, maxFreeSockets: 4, keepAliveMsecs: KEEPALIVE_PROBE_MS });
  #tls: { material: TlsMaterial; agent: HttpsAgent } | null = null;

  constructor(settings: EtcdSettings, clock: Clock) {
    this.#settings = settings;
    this.#lookup = cachingLookup(clock);
    // Read now, so that a wrong path is an error at start and not an outage later.
    if (settings.cacert !== null || settings.cert !== null) this.#tls = this.#makeTls(readTlsMaterial(settings));
  }

  /**
   * POST (or GET when `body` is null). Rejects with TransportError; an HTTP error status is an
   * answer.
   */
  exchange(url: string, body: string | null, headers: Record<string, string>, signal: AbortSignal): Promise<Exchange> {
    return new Promise((resolve, reject) => {
      const request = this.#open(url, body, headers);
      const sent = watchSent(request);
      const fail = (error: unknown) => {
        signal.removeEventListener('abort', abort);
        reject(new TransportError(describe(error), sent(), error));
      };
      const abort = () => request.destroy(new Error('given up'));
      if (signal.aborted) abort();
      signal.addEventListener('abort', abort, { once: true });
      request.on('error', fail);
      request.on('response', (response) => {
        collect(response, ANSWER_MAX_BYTES).then((text) => {
          signal.removeEventListener('abort', abort);
          resolve({ status: response.statusCode ?? 0, text });
        }, fail);
      });
      request.end(body ?? undefined);
    });
  }

  stream(url: string, body: string, headers: Record<string, string>, handlers: StreamHandlers): { close(): void } {
    let open = true;
    let request: ClientRequest;
    try {
      request = this.#open(url, body, headers);
    } catch (error) {
      process.nextTick(() => open && handlers.onEnd(describe(error)));
      return { close: () => (open = false) };
    }
    const end = (reason: string) => {
      if (!open) return;
      open = false;
      request.destroy();
      handlers.onEnd(reason);
    };
    request.on('socket', (socket) => socket.setKeepAlive(true, KEEPALIVE_PROBE_MS));
    request.on('error', (error) => end(describe(error)));
    request.on('response', (response) => {
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        if (open) handlers.onText(text);
      });
      response.on('error', (error) => end(describe(error)));
      response.on('close', () => end(`the stream ended (HTTP status ${response.statusCode})`));
    });
    request.end(body);
    return {
      close: () => {
        open = false;
        request.destroy();
      },
    };
  }

  /**
   * Reads the certificate files again; connections made from now on use what they hold. A file that
   * cannot be read changes nothing.
   */
  reloadTls(): void {
    if (this.#tls === null) return;
    try {
      const material = readTlsMaterial(this.#settings);
      if (!sameMaterial(material, this.#tls.material)) this.#tls = this.#makeTls(material);
    } catch {}
  }

  close(): void {
    this.#plain.destroy();
    this.#tls?.agent.destroy();
  }

  #open(url: string, body: string | null, headers: Record<string, string>): ClientRequest {
    const options = {
      method: body === null ? 'GET' : 'POST',
      headers: body === null ? headers : { ...headers, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      lookup: this.#lookup,
    };
    if (!url.startsWith('https:')) return httpRequest(url, { ...options, agent: this.#plain });
    this.#tls ??= this.#makeTls(readTlsMaterial(this.#settings));
    return httpsRequest(url, { ...options, agent: this.#tls.agent });
  }

  #makeTls(material: TlsMaterial): { material: TlsMaterial; agent: HttpsAgent } {
    const agent = new HttpsAgent({ keepAlive: true, maxSockets: 32, maxFreeSockets: 4, keepAliveMsecs: KEEPALIVE_PROBE_MS, ...material });
    return { material, agent };
  }
}

/**
 * True from the moment the request may have reached the other side: a kept-alive connection was
 * taken, or a new one stands.
 */
function watchSent(request: ClientRequest): () => boolean {
  let sent = false;
  request.on('socket', (socket) => {
    if (!socket.connecting) sent = true;
    else
      socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => {
        sent = true;
      });
  });
  return () => sent;
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
    response.on('aborted', () => reject(new Error('the answer broke off')));
    response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
  });
}

function describe(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return codeOf(error) ?? 'no address answered';
  return ensureError(error).message;
}
