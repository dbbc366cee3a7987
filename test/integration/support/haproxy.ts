/**
 * A real HAProxy in front of stand-ins of PostgreSQL. Each tells its name to every client and keeps
 * the connection; each has a REST answer.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface StandIn {
  readonly name: string;
  /** What GET /primary is answered with. */
  status: number;
  /** Refuses connections, as a server that is down. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export interface HaproxyStage {
  readonly socketPath: string;
  readonly folder: string;
  readonly members: Readonly<Record<string, StandIn>>;
  /**
   * Connects to the frontend. `name` resolves to who answered, null when the connection was closed
   * without a word.
   */
  visit(): { readonly name: Promise<string | null>; readonly closed: Promise<void>; leave(): void };
  close(): Promise<void>;
}

const listening = (server: Server, port = 0) =>
  new Promise<number>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });

async function freePort(): Promise<number> {
  const probe = createServer();
  const port = await listening(probe);
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function standIn(name: string): Promise<{ member: StandIn; port: number; restPort: number; close(): Promise<void> }> {
  let server: Server | null = null;
  const sockets = new Set<Socket>();
  const start = (port: number) => {
    server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
      socket.write(name);
    });
    return listening(server, port);
  };
  const stop = async () => {
    const gone = new Promise((resolve) => (server ? server.close(resolve) : resolve(null)));
    for (const socket of sockets) socket.destroy();
    await gone;
    server = null;
  };
  const port = await start(0);
  const member: StandIn = { name, status: 503, stop, start: async () => void (await start(port)) };
  const rest = createHttpServer((_request, response) => response.writeHead(member.status).end());
  const restPort = await listening(rest);
  const close = async () => {
    rest.closeAllConnections();
    rest.close();
    await stop();
  };
  return { member, port, restPort, close };
}

export async function startHaproxyStage(names: readonly string[], checks: string): Promise<HaproxyStage> {
  const folder = mkdtempSync(join(tmpdir(), 'regent-haproxy-'));
  const socketPath = join(folder, 'admin.sock');
  const standIns = await Promise.all(names.map(standIn));
  const frontendPort = await freePort();
  const file = join(folder, 'haproxy.cfg');
  writeFileSync(
    file,
    `global
    maxconn 300
    stats socket ${socketPath} mode 600 level admin
defaults
    mode tcp
    timeout connect 200ms
    retries 30
    option redispatch 1
    timeout client 30m
    timeout server 30m
    timeout check 2s
    default-server ${checks}
frontend postgres_write
    bind 127.0.0.1:${frontendPort}
    default_backend postgres_primary
backend postgres_primary
    option httpchk OPTIONS /primary
    http-check expect status 200
${standIns.map(({ member, port, restPort }) => `    server ${member.name} 127.0.0.1:${port} check port ${restPort}`).join('\n')}
`,
  );
  const haproxy: ChildProcess = spawn('haproxy', ['-db', '-f', file], { stdio: 'ignore' });
  return {
    socketPath,
    folder,
    members: Object.fromEntries(standIns.map(({ member }) => [member.name, member])),
    visit: () => {
      const socket = connect(frontendPort, '127.0.0.1');
      socket.on('error', () => undefined);
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      const name = new Promise<string | null>((resolve) => {
        socket.once('data', (data) => resolve(data.toString()));
        void closed.then(() => resolve(null));
      });
      return { name, closed, leave: () => socket.destroy() };
    },
    close: async () => {
      if (haproxy.exitCode === null && haproxy.signalCode === null) {
        const gone = new Promise((resolve) => haproxy.once('exit', resolve));
        haproxy.kill('SIGKILL');
        await gone;
      }
      await Promise.all(standIns.map((one) => one.close()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
