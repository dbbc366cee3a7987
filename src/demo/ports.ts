/** Tells which TCP ports of loopback are taken, and by which process if that can be seen. */
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

/**
 * Inodes of the sockets listening on a port; columns as in proc_net_tcp: local address 1, state 3
 * (0A is LISTEN), inode 9.
 */
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

/**
 * First and last port that the kernel gives to outgoing connections, and those of them it is told
 * to leave alone.
 */
export interface EphemeralPorts {
  readonly first: number;
  readonly last: number;
  readonly reserved: (port: number) => boolean;
}

const SYSCTLS = '/proc/sys/net/ipv4';

/**
 * As ip(7) and the kernel's ip-sysctl.rst have them: `32768<TAB>60999`; `8080,9148-9150`. Null
 * where they cannot be read.
 */
export function ephemeralPorts(directory: string = SYSCTLS): EphemeralPorts | null {
  const [first, last] = quietly(() => readFileSync(`${directory}/ip_local_port_range`, 'utf8'), '')
    .trim()
    .split(/\s+/)
    .map(Number);
  if (!first || !last) return null;
  const reserved = quietly(() => readFileSync(`${directory}/ip_local_reserved_ports`, 'utf8'), '')
    .trim()
    .split(',')
    .map((range) => range.split('-').map(Number));
  return {
    first,
    last,
    reserved: (port) => reserved.some(([from, to = from]) => from !== undefined && to !== undefined && from <= port && port <= to),
  };
}

/**
 * What to say before anything is started; null: no outgoing connection can hold a port of the demo.
 */
export function ephemeralWarning(ports: readonly number[], basePort: number, range: EphemeralPorts | null): string | null {
  const within = range === null ? [] : ports.filter((port) => range.first <= port && port <= range.last && !range.reserved(port));
  if (range === null || within.length === 0) return null;
  const highest = range.first - 1 - (Math.max(...ports) - basePort);
  const mend =
    highest >= 1024 ? `--base-port ${highest} or lower avoids it` : `list them in ${SYSCTLS}/ip_local_reserved_ports to avoid it`;
  return (
    `warning: ${within.length} of the demo's ${ports.length} ports (${within.slice(0, 3).join(', ')}${within.length > 3 ? ', ...' : ''}) ${within.length === 1 ? 'is' : 'are'} among those that ` +
    `the kernel gives to outgoing connections (${range.first} to ${range.last}). While a connection holds one, the process that needs it cannot start; ${mend}.`
  );
}

export async function takenPorts(wanted: ReadonlyArray<{ readonly port: number; readonly use: string }>): Promise<TakenPort[]> {
  const free = await Promise.all(wanted.map(({ port }) => isFree(port, '127.0.0.1')));
  return wanted.filter((_, index) => !free[index]).map(({ port, use }) => ({ port, use, holder: holderOf(port) }));
}
