/**
 * Requests that Node's parser refuses: lines that end in a bare line feed, HTTP/1.2, a header
 * without a colon, a path without a slash. Checks of load balancers are written by hand and have
 * looked like that for decades; Patroni's server reads them, and a 400 takes a whole backend down.
 * So a health check is answered all the same, by its first line alone, and the connection is
 * closed. Everything else is refused as Node does.
 */
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { codeOf } from '../support/errors.ts';
import type { Answer } from './answer.ts';

/** What the check of this method and target is answered with; null: it is no health check. */
export type CheckAnswer = (method: string, url: string) => Answer | null;

/**
 * Beyond this length a request is refused whatever it asks for; Patroni's limit for the first line.
 */
export const MAX_HEADER_BYTES = 65_536;

const FIRST_LINE = /^(GET|HEAD|OPTIONS) (\S+)(?: HTTP\/\d+(?:\.\d+)?)?$/;

/** For the server's `clientError`. Never throws. */
export function answerRefused(answerTo: CheckAnswer, error: Error, socket: Duplex): void {
  if (socket.destroyed || !socket.writable || codeOf(error) === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const line = firstLineOf(error);
  const answer = line === null ? null : answerTo(...line);
  socket.end(answer === null ? bare(refusal(error)) : whole(answer));
  // Whoever goes on sending is not listened to.
  socket.once('finish', () => socket.destroy());
}

function firstLineOf(error: Error): [string, string] | null {
  if (!codeOf(error)?.startsWith('HPE_') || codeOf(error) === 'HPE_HEADER_OVERFLOW' || !('rawPacket' in error)) return null;
  const packet = error.rawPacket;
  if (!Buffer.isBuffer(packet)) return null;
  const line = packet.toString('latin1', 0, MAX_HEADER_BYTES).trimStart().split('\n', 1)[0] ?? '';
  const match = FIRST_LINE.exec(line.trimEnd());
  return match === null ? null : [match[1]!, match[2]!];
}

function refusal(error: Error): number {
  const code = codeOf(error);
  if (code === 'HPE_HEADER_OVERFLOW') return 431;
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
}

const bare = (status: number) => `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`;

function whole({ status, type, body }: Answer): string {
  const described = body === '' ? '' : `Content-Type: ${type}\r\n`;
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${described}Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
}
