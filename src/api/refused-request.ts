/**
 * Requests that Node's parser refuses: lines that end in a bare line feed, HTTP/1.2, a header
 * without a colon, a path without a slash. The health checks of load balancers are written by hand,
 * and many look like that. Patroni's server reads them, and a 400 would take a whole backend down.
 * So such a health check is still answered, by its first line alone, and the connection is closed.
 * Everything else is refused as Node does.
 */
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { codeOf } from '../support/errors.ts';
import { type Answer, codeAlone } from './answer.ts';
import type { Reply } from './respond.ts';

/** The reply to a check with this method and target. Null: it is not a health check. */
export type CheckReply = (method: string, url: string) => Reply | Promise<Reply> | null;

/** A request longer than this is always refused. This is Patroni's limit for the first line. */
export const MAX_HEADER_BYTES = 65_536;

const UNKNOWN_METHOD = /^[A-Za-z]+ \S+ HTTP\/1\.[01]\r?\n/;
const FIRST_LINE = /^(GET|HEAD|OPTIONS) (\S+)(?: HTTP\/\d+(?:\.\d+)?)?$/;

/** For the server's `clientError`. Never throws. */
export async function answerRefused(replyTo: CheckReply, error: Error, socket: Duplex): Promise<void> {
  if (socket.destroyed || !socket.writable || codeOf(error) === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  // What the client sends after this is ignored.
  socket.once('finish', () => socket.destroy());
  const line = firstLineOf(error);
  const reply = line === null ? null : replyTo(...line);
  if (reply === null) socket.end(bare(refusal(error)));
  else socket.end(saidBy(await reply));
}

const saidBy = (reply: Reply) => (typeof reply === 'number' ? codeAlone(reply) : whole(reply));

function firstLineOf(error: Error): [string, string] | null {
  if (!codeOf(error)?.startsWith('HPE_') || codeOf(error) === 'HPE_HEADER_OVERFLOW') return null;
  const packet = packetOf(error);
  if (packet === null) return null;
  const line = packet.toString('latin1', 0, MAX_HEADER_BYTES).trimStart().split('\n', 1)[0] ?? '';
  const match = FIRST_LINE.exec(line.trimEnd());
  return match === null ? null : [match[1]!, match[2]!];
}

function refusal(error: Error): number {
  const code = codeOf(error);
  if (code === 'HPE_INVALID_METHOD' && UNKNOWN_METHOD.test(packetOf(error)?.toString('latin1', 0, MAX_HEADER_BYTES) ?? '')) return 501;
  if (code === 'HPE_HEADER_OVERFLOW') return 431;
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
}

function packetOf(error: Error): Buffer | null {
  return 'rawPacket' in error && Buffer.isBuffer(error.rawPacket) ? error.rawPacket : null;
}

/** CONNECT, for which Node has an event of its own. */
export const refuseTunnel = (socket: Duplex): void => void socket.end(bare(501)).once('finish', () => socket.destroy());

const bare = (status: number) => `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`;

/** The bytes of an answer that ends the connection. */
export function whole({ status, type, body, headers }: Answer, extra: Answer['headers'] = {}): string {
  const described = body === '' ? '' : `Content-Type: ${type}\r\n`;
  const others = Object.entries({ ...extra, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${others.join('')}${described}Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
}
