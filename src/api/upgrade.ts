/**
 * Connections that other agents open to send each other messages (ports/links.ts). Whoever opens
 * one needs what a request that changes something needs. Then the connection leaves HTTP.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { ensureError } from '../support/errors.ts';
import type { AccessRules } from './access.ts';
import { type Answer, plain } from './answer.ts';
import type { ApiContext } from './context.ts';
import { whole } from './refused-request.ts';

/** Takes connections over. */
export interface LinkDoor {
  /** Null: it has taken the socket, and answers the request itself. Otherwise why it does not. */
  accept(opening: { readonly headers: IncomingMessage['headers']; readonly socket: Duplex; readonly head: Buffer }): {
    readonly status: number;
    readonly message: string;
  } | null;
}

const PROTOCOL = 'regent-link';

/** Any other protocol that a client offers is passed over, as it is without links. */
export function asksForLink({ headers, method }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.trim().toLowerCase() === PROTOCOL;
}

/** Never throws, never rejects. */
export async function openLink(
  context: ApiContext,
  door: LinkDoor,
  access: { readonly rules: AccessRules; readonly headers: Readonly<Record<string, string>> },
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  // Nobody else listens for it any more, and an error without a listener would end the agent.
  socket.on('error', () => socket.destroy());
  const refusal = await refusalOf(context, door, access.rules, request, socket, head);
  if (refusal === null || socket.destroyed) return;
  context.log.debug(`REST: link from ${request.socket.remoteAddress}: ${refusal.status}`);
  socket.end(whole(refusal, access.headers));
  socket.once('finish', () => socket.destroy());
}

async function refusalOf(
  context: ApiContext,
  door: LinkDoor,
  rules: AccessRules,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<Answer | null> {
  try {
    const refusal = await rules.check(request, context.operator.view(), true);
    if (refusal !== null || socket.destroyed) return refusal;
    const busy = door.accept({ headers: request.headers, socket, head });
    return busy === null ? null : plain(busy.status, busy.message);
  } catch (error) {
    context.log.error(`REST: a link could not be opened: ${ensureError(error).message}`);
    return plain(500, 'internal error; see the log of the agent');
  }
}
