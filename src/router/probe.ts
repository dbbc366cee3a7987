/**
 * Asks whether a PostgreSQL answers, without a session and without a line in its log: it replies to
 * SSLRequest with one byte (PostgreSQL's protocol, "SSL Session Encryption").
 */
import { connect } from 'node:net';
import type { Clock } from '../ports/clock.ts';

const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** `address` as HAProxy shows it: `10.0.0.11:5432`, `[fd00::11]:5432`. Never throws. */
export function postgresAnswers(address: string, timeoutMs: number, clock: Pick<Clock, 'timer'>): Promise<boolean> {
  const [, host, port] = /^\[?([^\]]+?)\]?:(\d+)$/.exec(address) ?? [];
  if (host === undefined) return Promise.resolve(true);
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port) }, () => socket.write(SSL_REQUEST));
    const cancel = clock.timer(timeoutMs, () => socket.destroy());
    let answered = false;
    socket.once('data', () => {
      answered = true;
      socket.destroy();
    });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      cancel();
      resolve(answered);
    });
  });
}
