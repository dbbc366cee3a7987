/**
 * Health checks whose whole request is one packet without anything to think about: how HAProxy, F5,
 * curl and probes send them. What comes of them by HTTP's rules is known by heart here; everything
 * else is left to Node's parser.
 */
import { readers } from './readers.ts';

export interface KnownRequest {
  readonly method: 'GET' | 'HEAD' | 'OPTIONS';
  readonly path: string;
  /** The connection stays open for another request. */
  readonly keepsAlive: boolean;
}

const MAX_BYTES = 1024;
/** No query, no second slash, nothing escaped. */
const HEAD = /^(GET|HEAD|OPTIONS) (\/[a-z_-]*) HTTP\/1\.([01])\r\n((?:[A-Za-z-]+: ?[ -~]*\r\n)*)\r\n$/;
const CONNECTION = /^connection: ?(close|keep-alive)$/i;
/** With one of these there is a body, another protocol, or something to say before the answer. */
const WEIGHTY = /^(?:connection|content-length|expect|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade):/i;
/** GETs of these are answered with something else than the status. */
const CODE_ONLY = new Set(['liveness', 'readiness']);

/** Null: not one of them. */
export function readKnownRequest(packet: string): KnownRequest | null {
  const match = HEAD.exec(packet);
  if (match === null) return null;
  const [, method, path = '', minor, headers = ''] = match;
  let wish: string | null = null;
  for (const line of headers.split('\r\n')) {
    if (!WEIGHTY.test(line)) continue;
    const connection = CONNECTION.exec(line)?.[1] ?? null;
    if (connection === null || wish !== null) return null;
    wish = connection.toLowerCase();
  }
  const segment = path.slice(1);
  if (method === 'GET' && (readers.has(segment) || CODE_ONLY.has(segment))) return null;
  return { method: method as KnownRequest['method'], path, keepsAlive: minor === '1' ? wish !== 'close' : wish === 'keep-alive' };
}

/** More kinds of checks than that do not come to one member. */
const MOST_KEPT = 50;

/** The same, but what a balancer sends again and again is read once. */
export function knownRequests(): (packet: Buffer) => KnownRequest | null {
  const kept = new Map<string, KnownRequest>();
  return (packet) => {
    if (packet.length > MAX_BYTES) return null;
    const text = packet.toString('latin1');
    const before = kept.get(text);
    if (before !== undefined) return before;
    const request = readKnownRequest(text);
    if (request === null) return null;
    if (kept.size >= MOST_KEPT) kept.clear();
    kept.set(text, request);
    return request;
  };
}
