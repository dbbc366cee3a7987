/** A TCP relay on loopback that can be cut (connections reset, new ones refused) or stalled (nothing passes, nothing closes). */
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface Relay {
  readonly port: number;
  /** Resets what is connected and refuses what comes. */
  cut(): Promise<void>;
  /** What is connected stays so, but nothing passes any more; new connections are accepted and stall as well. */
  stall(): void;
  /** Takes connections again; what was stalled flows on. */
  mend(): Promise<void>;
  close(): Promise<void>;
}

export async function startRelay(targetPort: number): Promise<Relay> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let stalled = false;
  const serve = (inner: Socket) => {
    const outer = connect(targetPort, '127.0.0.1');
    const pair = [inner, outer] as const;
    pairs.add(pair);
    inner.on('data', (data) => outer.write(data));
    outer.on('data', (data) => inner.write(data));
    for (const socket of pair) {
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        for (const end of pair) end.destroy();
        pairs.delete(pair);
      });
      if (stalled) socket.pause();
    }
  };
  let server = await listen(0, serve);
  const { port } = server.address() as { port: number };
  const stop = async () => {
    for (const pair of pairs) for (const socket of pair) socket.destroy();
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
