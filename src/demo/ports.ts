/** Tells which TCP ports of loopback are taken, and by whom where that can be seen. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';

export interface TakenPort {
  readonly port: number;
  readonly use: string;
  /** `nginx (pid 812)`; null when the owner cannot be seen. */
  readonly holder: string | null;
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

function quietly<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

/** Inodes of the sockets listening on a port; columns as in proc_net_tcp: local address 1, state 3 (0A is LISTEN), inode 9. */
export function listeningInodes(tcp: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return tcp
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(suffix) && fields[3] === '0A')
    .map((fields) => fields[9] ?? '');
}

/** Another user's process is not seen unless we are root. */
function holderOf(port: number): string | null {
  const tcp = ['/proc/net/tcp', '/proc/net/tcp6'].map((file) => quietly(() => readFileSync(file, 'utf8'), '')).join('\n');
  const links = new Set(listeningInodes(tcp, port).map((inode) => `socket:[${inode}]`));
  if (links.size === 0) return null;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const handles = quietly(() => readdirSync(`/proc/${pid}/fd`), []);
    if (handles.some((handle) => links.has(quietly(() => readlinkSync(`/proc/${pid}/fd/${handle}`), '')))) {
      return `${quietly(() => readFileSync(`/proc/${pid}/comm`, 'utf8').trim(), 'a process')} (pid ${pid})`;
    }
  }
  return null;
}

export async function takenPorts(wanted: ReadonlyArray<{ readonly port: number; readonly use: string }>): Promise<TakenPort[]> {
  const free = await Promise.all(wanted.map(({ port }) => isFree(port, '127.0.0.1')));
  return wanted.filter((_, index) => !free[index]).map(({ port, use }) => ({ port, use, holder: holderOf(port) }));
}
