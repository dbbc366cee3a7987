/** Opens a link: an HTTP request with `Upgrade`, at the address of the member's REST API. */
import type { OutgoingHttpHeaders } from 'node:http';
import type { LookupFunction } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../ports/clock.ts';
import { openRequest, reasonOf, type TlsOptions } from '../../support/http.ts';
import { LINK_PROTOCOL } from './link-wire.ts';

/** TCP alone. It repeats a lost first packet after a second, in vain where the host is dead. */
const CONNECT_MS = 1500;
/** With TLS, and with the answer to the request. */
const DIAL_MS = 3000;

export type Dialed =
  | { readonly kind: 'open'; readonly socket: Duplex; readonly head: Buffer }
  /** It answers HTTP, and opens no link. */
  | { readonly kind: 'refused'; readonly status: number; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

export interface DialOptions {
  readonly url: URL;
  readonly headers: OutgoingHttpHeaders;
  readonly tls: TlsOptions;
  readonly clock: Clock;
  readonly lookup: LookupFunction;
  /** Gives the try up. */
  readonly signal: AbortSignal;
}

/** Never rejects. */
export function dial({ url, headers, tls, clock, lookup, signal }: DialOptions): Promise<Dialed> {
  return new Promise((resolve) => {
    const end = (dialed: Dialed) => {
      cancelConnecting();
      cancelDialing();
      signal.removeEventListener('abort', giveUp);
      if (dialed.kind !== 'open') request.destroy();
      resolve(dialed);
    };
    const fail = (reason: string) => end({ kind: 'failed', reason });
    const giveUp = () => fail('given up');
    const request = openRequest(url, { headers: { ...headers, connection: 'Upgrade', upgrade: LINK_PROTOCOL }, tls, lookup });
    const cancelConnecting = clock.timer(CONNECT_MS, () => fail(`no connection within ${CONNECT_MS} ms`));
    const cancelDialing = clock.timer(DIAL_MS, () => fail(`no answer within ${DIAL_MS} ms`));
    signal.addEventListener('abort', giveUp, { once: true });
    request.on('socket', (socket) => socket.once('connect', cancelConnecting));
    request.on('error', (error) => fail(reasonOf(error)));
    request.on('response', ({ statusCode = 0, statusMessage = '' }) =>
      end({ kind: 'refused', status: statusCode, reason: `HTTP status ${statusCode} ${statusMessage}`.trim() }),
    );
    request.on('upgrade', (response, socket, head) => {
      if (response.headers.upgrade?.toLowerCase() === LINK_PROTOCOL) end({ kind: 'open', socket, head });
      else end({ kind: 'refused', status: 101, reason: `it speaks ${response.headers.upgrade}` });
    });
    request.end();
  });
}
