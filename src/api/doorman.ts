/**
 * Looks at the first packet of a connection before Node's HTTP server does. If that is a health
 * check that is known by heart, it answers: a parser, a request and a response for each of them are
 * most of what an idle agent would do. Everything else gets the connection as if nobody had looked.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import type { Clock } from '../ports/clock.ts';
import type { QuickAnswer } from './quick-answer.ts';

export interface DoormanTerms {
  /** Null: this is for the HTTP server. */
  readonly answerTo: (packet: Buffer) => QuickAnswer | null;
  /** So long a new connection may stay silent until the HTTP server gets it, which ends it. */
  readonly silenceMs: number;
  /** So long an answered connection may stay open for the next request. */
  readonly keepAliveMs: number;
  readonly clock: Pick<Clock, 'monotonicMs' | 'timer'>;
}

export interface Doorman {
  /** Ends the connections that it holds. */
  close(): void;
}

/** Before the server listens. */
export function postDoorman(server: Server, { answerTo, silenceMs, keepAliveMs, clock }: DoormanTerms): Doorman {
  const encrypts = server instanceof TlsServer;
  const event = encrypts ? 'secureConnection' : 'connection';
  const inside = server.listeners(event);
  server.removeAllListeners(event);
  /** New ones, and those that were answered and may ask again: since when they are silent. */
  const [fresh, kept] = [new Map<Socket, number>(), new Map<Socket, number>()];
  let cancel: (() => void) | null = null;

  const forget = (socket: Socket) => fresh.delete(socket) || kept.delete(socket);
  const letIn = (socket: Socket, packet: Buffer | null) => {
    forget(socket);
    socket.off('data', onData).off('end', onEnd).off('error', onError);
    if (packet !== null) socket.unshift(packet);
    for (const listener of inside) listener.call(server, socket);
  };
  function onData(this: Socket, packet: Buffer): void {
    if (this.writableEnded) return;
    const answer = answerTo(packet);
    if (answer === null) {
      letIn(this, packet);
      return;
    }
    forget(this);
    this.write(answer.text, 'latin1');
    if (answer.keepsAlive) kept.set(this, clock.monotonicMs());
    // The kernel has all of it, and will deliver it; another turn of the loop is saved.
    else if (this.writableLength === 0 && !encrypts) this.destroy();
    else this.destroySoon();
  }
  function onEnd(this: Socket): void {
    forget(this);
    this.end();
  }
  function onError(this: Socket): void {
    forget(this);
    this.destroy();
  }
  /** One timer for all of them costs an answer nothing. */
  const sweep = () => {
    cancel = null;
    const now = clock.monotonicMs();
    for (const [socket, sinceMs] of fresh) if (now - sinceMs >= silenceMs) letIn(socket, null);
    for (const [socket, sinceMs] of kept) if (now - sinceMs >= keepAliveMs) onError.call(socket);
    if (fresh.size + kept.size > 0) cancel = clock.timer(silenceMs, sweep);
  };

  server.on(event, (socket: Socket) => {
    fresh.set(socket, clock.monotonicMs());
    socket.on('data', onData).on('end', onEnd).on('error', onError);
    cancel ??= clock.timer(silenceMs, sweep);
  });
  return {
    close: () => {
      cancel?.();
      for (const socket of [...fresh.keys(), ...kept.keys()]) socket.destroy();
      fresh.clear();
      kept.clear();
    },
  };
}
