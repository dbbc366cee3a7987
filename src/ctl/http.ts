/** One HTTP exchange with a deadline and a bound on the answer. */
import { type ClientRequest, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { ensureError } from '../support/errors.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
}

const CONNECT_MS = 4_000;
const MAX_BODY_BYTES = 16 * 1024 * 1024;

/** The connection was made, and nothing came back in time. */
export class Silence extends Error {}

/**
 * Any status is an answer. Rejects with a plain Error whose message says what went wrong. `onOpen`
 * may keep the request to destroy it.
 */
export function exchange(
  url: URL,
  options: RequestOptions,
  body: string | null,
  timeoutMs: number,
  onOpen: (request: ClientRequest) => void = () => undefined,
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    // One call, one connection: the tool ends when its work is done, not when a pool of sockets
    // does.
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, { ...options, agent: false });
    const stop = () => {
      clearTimeout(deadline);
      clearTimeout(connecting);
    };
    const failed = (error: unknown) => {
      stop();
      request.destroy();
      reject(error instanceof Silence ? error : new Error(reasonOf(error)));
    };
    const deadline = setTimeout(() => failed(new Silence(`no answer within ${timeoutMs / 1000} seconds`)), timeoutMs);
    const connectMs = Math.min(CONNECT_MS, timeoutMs);
    const connecting = setTimeout(() => failed(new Error(`no connection within ${connectMs / 1000} seconds`)), connectMs);
    onOpen(request);
    request.on('socket', (socket) => socket.once('connect', () => clearTimeout(connecting)));
    request.on('error', failed);
    request.on('response', (response) => {
      readBody(response).then((text) => {
        stop();
        resolve({ status: response.statusCode ?? 0, text, headers: response.headers });
      }, failed);
    });
    request.end(body ?? undefined);
  });
}

function readBody(response: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    response.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) response.destroy(new Error(`an answer of more than ${MAX_BODY_BYTES} bytes`));
      else chunks.push(chunk);
    });
    response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    response.on('error', reject);
    response.on('aborted', () => reject(new Error('the connection was closed in the middle of the answer')));
  });
}

/** Node reports a host with several addresses as one error without a message of its own. */
function reasonOf(cause: unknown): string {
  const error = ensureError(cause);
  const inner = error instanceof AggregateError ? error.errors.map((each) => ensureError(each).message).join('; ') : error.message;
  return inner || error.name;
}
