/**
 * Ports for servers of tests. They lie below those that the kernel gives to outgoing connections:
 * such a connection could take the port of a server that a test has stopped and starts again.
 */
import { createServer, type Server } from 'node:net';

/** Above those that the demo's test draws. */
const FIRST = 25_000;
const END = 32_700;

/** Several test files run at once; each begins elsewhere. */
let next = FIRST + ((process.pid * 97) % (END - FIRST));

function held(port: number): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(null));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server));
  });
}

/** Ports on which nobody listens at this moment, none of them given before to this process. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  const ports: number[] = [];
  for (let tried = 0; ports.length < count; tried += 1) {
    if (tried > END - FIRST) throw new Error(`no ${count} ports are free between ${FIRST} and ${END}`);
    const port = next;
    next = next + 1 < END ? next + 1 : FIRST;
    const server = await held(port);
    if (server === null) continue;
    servers.push(server);
    ports.push(port);
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port!;
}
