/**
 * Once a server takes upgrades, Node hands it every request that offers one, without the rest of
 * the request. Clients of other programs offer HTTP/2 with whatever they ask (curl --http2, Java),
 * and do well without. So such a request is put back before the connection, and read again as if it
 * offered nothing.
 */
import type { IncomingMessage, Server } from 'node:http';
import { Server as TlsServer } from 'node:https';
import type { Duplex } from 'node:stream';

const OFFERS: ReadonlySet<string> = new Set(['upgrade', 'http2-settings']);

export function passOver(server: Server | TlsServer, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  socket.unshift(Buffer.concat([Buffer.from(headOf(request), 'latin1'), head]));
  server.emit(server instanceof TlsServer ? 'secureConnection' : 'connection', socket);
}

function headOf({ method, url, httpVersion, rawHeaders }: IncomingMessage): string {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = rawHeaders.slice(at, at + 2);
    const isConnection = name.toLowerCase() === 'connection';
    const kept = isConnection ? withoutOffers(value) : value;
    if (OFFERS.has(name.toLowerCase()) || (isConnection && kept === '')) continue;
    lines.push(`${name}: ${kept}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function withoutOffers(connection: string): string {
  return connection
    .split(',')
    .map((token) => token.trim())
    .filter((token) => !OFFERS.has(token.toLowerCase()))
    .join(', ');
}
