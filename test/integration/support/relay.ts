/**
 * A TCP relay on loopback that can be cut (connections reset, new ones refused) or stalled (nothing
 * passes, nothing closes).
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './ports.ts';

export interface Relay {
  readonly port: number;
  /** Resets what is connected and refuses what comes. */
  cut(): Promise<void>;
  /**
   * What is connected stays so, but nothing passes any more; new connections are accepted and stall
   * as well. What the client sent and gave up meanwhile still arrives after mend(), as in a network
   * that delivers late. The target does not learn that it was given up.
   */
  stall(): void;
  /** Takes connections again; what was stalled flows on. */
  mend(): Promise<void>;
  /**
   * While on, requests pass, and the first byte of an answer ends the connection instead of
   * reaching the client.
   */
  loseReplies(on: boolean): void;
  repliesLost(): number;
  /** Answers to clients that had given up. */
  answeredLate(): number;
  close(): Promise<void>;
}

export async function startRelay(targetPort: number): Promise<Relay> {
  const pairs = new Set<readonly [Socket, Socket]>();
  const abandoned = new Set<Socket>();
  let stalled = false;
  let late = 0;
  let losing = false;
  let lost = 0;
  const serve = (inner: Socket) => {
    const outer = connect(targetPort, '127.0.0.1');
    const pair = [inner, outer] as const;
    pairs.add(pair);
    let lingers = stalled;
    inner.on('data', (data) => outer.write(data));
    inner.on('pause', () => {
      lingers = true;
    });
    inner.on('close', () => {
      pairs.delete(pair);
      if (lingers) abandoned.add(outer);
      else outer.destroy();
    });
    outer.on('data', (data) => {
      if (losing && !inner.destroyed) {
        lost++;
        inner.destroy();
      } else if (inner.destroyed) late++;
      else inner.write(data);
    });
    outer.on('close', () => {
      abandoned.delete(outer);
      inner.destroy();
    });
    for (const socket of pair) {
      socket.setNoDelay(true);
      socket.on('error', () => {});
      if (stalled) socket.pause();
    }
  };
  const port = await freePort();
  let server = await listen(port, serve);
  const stop = async () => {
    for (const pair of pairs) for (const socket of pair) socket.destroy();
    for (const socket of abandoned) socket.destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  return {
    port,
    cut: stop,
    stall: () => {
      stalled = true;
      for (const pair of pairs) for (const socket of pair) socket.pause();
    },
    mend: async () => {
      stalled = false;
      for (const pair of pairs) for (const socket of pair) socket.resume();
      if (!server.listening) server = await listen(port, serve);
    },
    loseReplies: (on) => {
      losing = on;
    },
    repliesLost: () => lost,
    answeredLate: () => late,
    close: stop,
  };
}

function listen(port: number, serve: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(serve);
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
