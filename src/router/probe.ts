/** Asks whether a PostgreSQL answers, without a session and without a line in its log. */
import { lookup } from 'node:dns';
import { knock, SSL_REQUEST } from '../adapters/peers/knock.ts';
import type { Clock } from '../ports/clock.ts';

/** `address` as HAProxy shows it: `10.0.0.11:5432`, `[fd00::11]:5432`. */
export async function postgresAnswers(address: string, timeoutMs: number, clock: Clock): Promise<boolean> {
  const [, host, port] = /^\[?([^\]]+?)\]?:(\d+)$/.exec(address) ?? [];
  if (host === undefined) return true;
  return (await knock({ host, port: Number(port), say: SSL_REQUEST, timeoutMs, clock, lookup })) === 'answered';
}
