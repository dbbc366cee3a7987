/** Tries a port on a fresh connection: what a host's kernel says of a process. */
import { connect, type LookupFunction, type Socket } from 'node:net';
import type { Clock } from '../../ports/clock.ts';
import type { Knock } from '../../ports/links.ts';
import { codeOf } from '../../support/errors.ts';

export interface KnockOptions {
  readonly host: string;
  readonly port: number;
  /** Sent once connected; then one byte is the answer. Null: the connection is the answer. */
  readonly say: Buffer | null;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly lookup: LookupFunction;
}

/**
 * PostgreSQL answers it with one byte, `S` or `N`, before it asks who is there: so the postmaster
 * has taken the connection and made a process for it.
 */
export const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** Never rejects. */
export function knock({ host, port, say, timeoutMs, clock, lookup }: KnockOptions): Promise<Knock> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, lookup });
    const end = (result: Knock) => {
      cancel();
      socket.destroy();
      resolve(result);
    };
    const cancel = clock.timer(timeoutMs, () => end('silent'));
    socket.on('connect', () => {
      if (isItself(socket)) end('refused');
      else if (say === null) end('answered');
      else socket.write(say);
    });
    socket.on('data', () => end('answered'));
    socket.on('error', (error) => end(isRefused(error) ? 'refused' : 'silent'));
    socket.on('close', () => end('silent'));
  });
}

/** A host of several addresses has refused only if each of them has. */
function isRefused(error: Error): boolean {
  const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  return errors.every((each) => codeOf(each) === 'ECONNREFUSED');
}

/** On one's own machine the kernel may pick the very port for the client's end: nobody listens. */
function isItself({ localPort, remotePort, localAddress, remoteAddress }: Socket): boolean {
  return localPort === remotePort && localAddress === remoteAddress;
}
