/**
 * A real HAProxy, with the file that is shipped, in front of stand-ins of PostgreSQL. Each tells
 * its name to every client and keeps the connection; each has a REST answer.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { haproxyConfig, LOG_TO_STDOUT } from '../../../src/demo/haproxy-config.ts';
import { freePorts } from './ports.ts';

export interface StandIn {
  readonly name: string;
  /** What /primary is answered with; /read-only is answered with 200. */
  status: number;
  /** Which part stands still: takes connections, and says nothing. */
  frozen: 'nothing' | 'agent' | 'all';
  /** Refuses connections, as a server that is down. */
  stop(): Promise<void>;
  /** Refuses new connections and keeps those that it has. */
  refuse(): void;
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
  visit(pool?: 'write' | 'read'): { readonly name: Promise<string | null>; readonly closed: Promise<void>; leave(): void };
  /** The new process takes over a moment after. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

const listening = (server: Server, port: number) =>
  new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve());
  });

async function standIn(name: string): Promise<{ member: StandIn; port: number; restPort: number; close(): Promise<void> }> {
  let server: Server | null = null;
  const sockets = new Set<Socket>();
  const member: StandIn = {
    ...{ name, status: 503, frozen: 'nothing' },
    stop: () => stop(),
    refuse: () => {
      server?.close();
      server = null;
    },
    start: () => start(port),
  };
  const start = (port: number) => {
    server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
      if (member.frozen !== 'all') socket.write(name);
    });
    return listening(server, port);
  };
  const stop = async () => {
    const gone = new Promise((resolve) => (server ? server.close(resolve) : resolve(null)));
    for (const socket of sockets) socket.destroy();
    await gone;
    server = null;
  };
  const [port, restPort] = (await freePorts(2)) as [number, number];
  await start(port);
  const rest = createHttpServer(({ url }, response) => {
    if (member.frozen === 'nothing') response.writeHead(url === '/read-only' ? 200 : member.status).end();
  });
  await listening(rest, restPort);
  const close = async () => {
    rest.closeAllConnections();
    rest.close();
    await stop();
  };
  return { member, port, restPort, close };
}

const SIGUSR2 = 12;
const READY_MS = 30_000;

/**
 * HAProxy's first process restarts itself once its worker serves. Until it is ready again it
 * ignores SIGUSR2: for 9 ms with 2.6.12, for longer on a busy machine.
 */
async function untilCatches(pid: number, signal: number): Promise<void> {
  const caught = () => {
    const mask = /^SigCgt:\s*([0-9a-f]+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
    return ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n;
  };
  for (const end = performance.now() + READY_MS; !caught(); ) {
    if (performance.now() > end) throw new Error(`HAProxy ${pid} does not take signal ${signal} within ${READY_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export async function startHaproxyStage(names: readonly string[], checks: string): Promise<HaproxyStage> {
  const folder = mkdtempSync(join(tmpdir(), 'regent-haproxy-'));
  const socketPath = join(folder, 'admin.sock');
  const standIns = await Promise.all(names.map(standIn));
  const [frontendPort, readPort, statsPort] = (await freePorts(3)) as [number, number, number];
  const file = join(folder, 'haproxy.cfg');
  const shipped = haproxyConfig({
    ...{ bindAddress: '127.0.0.1', writePort: frontendPort, readPort, statsPort, log: LOG_TO_STDOUT, runtimeSocket: socketPath },
    stats: { username: 'admin', password: 'admin', openToTools: true },
    nameserver: null,
    members: standIns.map(({ member, port, restPort }) => ({ name: member.name, host: '127.0.0.1', postgresPort: port, restPort })),
  });
  writeFileSync(file, shipped.replace(/default-server inter .*/, `default-server ${checks}`));
  const haproxy: ChildProcess = spawn('haproxy', ['-W', '-q', '-f', file], { stdio: 'ignore' });
  return {
    socketPath,
    folder,
    members: Object.fromEntries(standIns.map(({ member }) => [member.name, member])),
    visit: (pool = 'write') => {
      const socket = connect(pool === 'write' ? frontendPort : readPort, '127.0.0.1');
      socket.on('error', () => undefined);
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      const name = new Promise<string | null>((resolve) => {
        socket.once('data', (data) => resolve(data.toString()));
        void closed.then(() => resolve(null));
      });
      return { name, closed, leave: () => socket.destroy() };
    },
    reload: async () => {
      await untilCatches(haproxy.pid!, SIGUSR2);
      haproxy.kill('SIGUSR2');
    },
    close: async () => {
      if (haproxy.exitCode === null && haproxy.signalCode === null) {
        const gone = new Promise((resolve) => haproxy.once('exit', resolve));
        // Its worker ends with it.
        haproxy.kill('SIGTERM');
        await gone;
      }
      await Promise.all(standIns.map((one) => one.close()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
