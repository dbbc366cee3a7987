/**
 * How a request travels to one endpoint: over HTTP with kept connections, TLS from files that may
 * be renewed, and streams. The simulator puts its network and its model of etcd in this place.
 */
import { type ClientRequest, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { LookupFunction } from 'node:net';
import type { EtcdSettings } from '../../core/settings.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import { exchange, type HttpRequest, openRequest, reasonOf } from '../../support/http.ts';
import { retireAgent } from '../../support/retire-agent.ts';
import { cachingLookup } from '../dns/lookup.ts';
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

/**
 * A whole cluster's keys are a few hundred kilobytes; etcd itself refuses requests above 1.5 MB by
 * default.
 */
const ANSWER_MAX_BYTES = 64 * 1024 * 1024;
const KEEPALIVE_PROBE_MS = 5000;

export interface Transport {
  /**
   * POST (or GET when `body` is null). Rejects with HttpFailure, also when the signal aborts; an
   * HTTP error status is an answer.
   */
  exchange(url: string, body: string | null, headers: Record<string, string>, signal: AbortSignal): Promise<Exchange>;
  /** POST whose answer does not end. Calls no handler before it has returned. */
  stream(url: string, body: string, headers: Record<string, string>, handlers: StreamHandlers): { close(): void };
  /**
   * Reads the certificate files again; connections made from now on use what they hold, and calls
   * under way go on. Files that cannot be used change nothing, which is logged once for each cause.
   */
  reloadTls(): void;
  /** Ends the connections that no call uses. */
  close(): void;
}

/** An endpoint that has moved is asked in vain for so long; the others answer meanwhile. */
const LOOKUP_FRESH_MS = 600_000;

export class HttpTransport implements Transport {
  readonly #settings: EtcdSettings;
  readonly #log: Log;
  readonly #lookup: LookupFunction;
  readonly #plain = new HttpAgent({ keepAlive: true, maxSockets: 32, maxFreeSockets: 4, keepAliveMsecs: KEEPALIVE_PROBE_MS });
  #tls: { material: TlsMaterial; agent: HttpsAgent } | null = null;
  #complained: string | null = null;

  constructor(settings: EtcdSettings, clock: Clock, log: Log) {
    this.#settings = settings;
    this.#log = log;
    this.#lookup = cachingLookup(clock, { freshMs: LOOKUP_FRESH_MS });
    // Read now, so that a wrong path is an error at start and not an outage later.
    if (settings.cacert !== null || settings.cert !== null) this.#tls = this.#makeTls(readTlsMaterial(settings));
  }

  async exchange(url: string, body: string | null, headers: Record<string, string>, signal: AbortSignal): Promise<Exchange> {
    return exchange(url, this.#request(url, body, headers), { signal, maxBytes: ANSWER_MAX_BYTES });
  }

  stream(url: string, body: string, headers: Record<string, string>, handlers: StreamHandlers): { close(): void } {
    let open = true;
    let request: ClientRequest;
    try {
      request = openRequest(url, this.#request(url, body, headers));
    } catch (error) {
      process.nextTick(() => open && handlers.onEnd(reasonOf(error)));
      return { close: () => (open = false) };
    }
    const end = (reason: string) => {
      if (!open) return;
      open = false;
      request.destroy();
      handlers.onEnd(reason);
    };
    request.on('socket', (socket) => socket.setKeepAlive(true, KEEPALIVE_PROBE_MS));
    request.on('error', (error) => end(reasonOf(error)));
    request.on('response', (response) => {
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        if (open) handlers.onText(text);
      });
      response.on('error', (error) => end(reasonOf(error)));
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

  reloadTls(): void {
    if (this.#tls === null) return;
    try {
      const material = readTlsMaterial(this.#settings);
      this.#complained = null;
      if (sameMaterial(material, this.#tls.material)) return;
      retireAgent(this.#tls.agent);
      this.#tls = this.#makeTls(material);
      this.#log.info('new connections to etcd use the renewed certificates');
    } catch (error) {
      this.#complain(ensureError(error));
    }
  }

  close(): void {
    this.#plain.destroy();
    this.#tls?.agent.destroy();
  }

  #complain(error: Error): void {
    if (error.message === this.#complained) return;
    this.#complained = error.message;
    const mend = error instanceof RegentError ? error.mend : null;
    this.#log.error(`etcd is asked with the certificates from before: ${error.message}`, { mend });
  }

  #request(url: string, body: string | null, headers: Record<string, string>): HttpRequest {
    const given = { headers, body, lookup: this.#lookup };
    const request = body === null ? given : { ...given, method: 'POST', headers: { ...headers, 'content-type': 'application/json' } };
    if (!url.startsWith('https:')) return { ...request, agent: this.#plain };
    this.#tls ??= this.#makeTls(readTlsMaterial(this.#settings));
    return { ...request, agent: this.#tls.agent };
  }

  #makeTls(material: TlsMaterial): { material: TlsMaterial; agent: HttpsAgent } {
    const agent = new HttpsAgent({ keepAlive: true, maxSockets: 32, maxFreeSockets: 4, keepAliveMsecs: KEEPALIVE_PROBE_MS, ...material });
    return { material, agent };
  }
}
