/**
 * Looks at the first packet of a connection before Node's HTTP server does. If that is a health
 * check that is known by heart, it answers: a parser, a request and a response for each of them are
 * most of what an idle agent would do. Everything else gets the connection as if nobody had looked.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import type { QuickAnswer } from './quick-answer.ts';

export interface DoormanTerms {
  /** Null: this is for the HTTP server. */
  readonly answerTo: (packet: Buffer) => QuickAnswer | null;
  /** So long a new connection may stay silent until the HTTP server gets it, which ends it. */
  readonly silenceMs: number;
  /** So long an answered connection may stay open for the next request. */
  readonly keepAliveMs: number;
}

export interface Doorman {
  /** Ends the connections that it holds. */
  close(): void;
}

/** Before the server listens. */
export function postDoorman(server: Server, { answerTo, silenceMs, keepAliveMs }: DoormanTerms): Doorman {
  const event = server instanceof TlsServer ? 'secureConnection' : 'connection';
  const inside = server.listeners(event);
  server.removeAllListeners(event);
  /** Whether they have been answered before. */
  const held = new Map<Socket, boolean>();

  const letIn = (socket: Socket, packet: Buffer | null) => {
    leave(socket);
    socket.setTimeout(0);
    if (packet !== null) socket.unshift(packet);
    for (const listener of inside) listener.call(server, socket);
  };
  const leave = (socket: Socket) => {
    held.delete(socket);
    socket.off('data', onData).off('end', onEnd).off('timeout', onTimeout).off('error', onError);
  };
  function onData(this: Socket, packet: Buffer): void {
    if (this.writableEnded) return;
    const answer = answerTo(packet);
    if (answer === null) {
      letIn(this, packet);
      return;
    }
    this.write(answer.bytes);
    if (answer.keepsAlive) {
      held.set(this, true);
      this.setTimeout(keepAliveMs);
    } else {
      held.delete(this);
      this.destroySoon();
    }
  }
  function onEnd(this: Socket): void {
    held.delete(this);
    this.end();
  }
  function onTimeout(this: Socket): void {
    if (held.get(this) === false) {
      letIn(this, null);
      return;
    }
    held.delete(this);
    this.destroy();
  }
  function onError(this: Socket): void {
    held.delete(this);
    this.destroy();
  }

  server.on(event, (socket: Socket) => {
    held.set(socket, false);
    socket.on('data', onData).on('end', onEnd).on('timeout', onTimeout).on('error', onError);
    socket.setTimeout(silenceMs);
  });
  return {
    close: () => {
      for (const socket of held.keys()) socket.destroy();
      held.clear();
    },
  };
}
