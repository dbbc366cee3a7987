/** Request bodies: bounded in size and time, JSON objects only. */
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../ports/clock.ts';
import { isJsonObject, parseJson } from '../support/big-json.ts';
import { RegentError } from '../support/errors.ts';
import type { JsonObject } from '../support/json.ts';
import { RequestProblem } from './answer.ts';

export const MAX_BODY_BYTES = 1024 * 1024;
const BODY_TIMEOUT_MS = 10_000;

export type BodyKind = 'none' | 'optional' | 'mandatory';

/** Throws RequestProblem (400, 408, 411, 413). */
export async function readBody(request: IncomingMessage, kind: BodyKind, clock: Clock): Promise<JsonObject> {
  if (kind === 'none') return {};
  const announced = request.headers['content-length'];
  if (announced === undefined && request.headers['transfer-encoding'] === undefined) {
    if (kind === 'optional') return {};
    throw new RequestProblem(411, 'the request has no body, and no Content-Length', 'Send a JSON object as the body.');
  }
  if (Number(announced) > MAX_BODY_BYTES) throw tooLarge();
  const bytes = await collect(request, clock);
  if (bytes.length === 0 && kind === 'optional') return {};
  const value = parse(bytes);
  if (kind === 'mandatory' && Object.keys(value).length === 0) {
    throw new RequestProblem(400, 'the body is an empty object', 'Send a JSON object with at least one key.');
  }
  return value;
}

function parse(bytes: Buffer): JsonObject {
  let decoded: string;
  try {
    decoded = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new RequestProblem(400, 'the body is not UTF-8 text', 'Send a JSON object, encoded as UTF-8.');
  }
  try {
    const value = parseJson(decoded);
    if (isJsonObject(value)) return value;
  } catch (error) {
    if (error instanceof RegentError) throw new RequestProblem(400, `the body is ${error.message}`, 'Send a JSON object.');
    throw error;
  }
  throw new RequestProblem(400, 'the body is JSON, but not an object', 'Send a JSON object: {"key": value}.');
}

function collect(request: IncomingMessage, clock: Clock): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = (settle: () => void) => {
      cancel();
      request.removeAllListeners('data');
      settle();
    };
    const cancel = clock.timer(BODY_TIMEOUT_MS, () => {
      const late = new RequestProblem(408, `the body did not arrive within ${BODY_TIMEOUT_MS / 1000} s`, 'Send it whole.');
      finish(() => reject(late));
    });
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) finish(() => reject(tooLarge()));
      else chunks.push(chunk);
    });
    request.once('end', () => finish(() => resolve(Buffer.concat(chunks))));
    request.once('close', () => finish(() => reject(new RequestProblem(400, 'the connection closed within the body', 'Send it whole.'))));
    request.once('error', () => finish(() => reject(new RequestProblem(400, 'the connection broke within the body', 'Send it whole.'))));
  });
}

function tooLarge(): RequestProblem {
  return new RequestProblem(413, `the body is larger than ${MAX_BODY_BYTES} bytes`, 'Send less.');
}
