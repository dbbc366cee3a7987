/** Addresses: `host:port`, `[::1]:5432`, `a,b:5432`, `*:5432`. */
import { isIPv6 } from 'node:net';
import { bad, good, type Read, type Wrong } from './read.ts';

export interface Address {
  /** Without brackets. At least one. */
  readonly hosts: readonly string[];
  readonly port: number;
  /** What is unusual in how it was written, and how it is read; null: nothing. */
  readonly remark: Wrong | null;
}

/**
 * defaultPort null: the port must be written. `example` is what the mend shows. `anyHost`: without
 * a host, every address is meant.
 */
export function parseAddress(text: string, defaultPort: number | null, example: string, anyHost = false): Read<Address> {
  const write = `write host:port, such as '${example}'`;
  const trimmed = text.trim();
  if (trimmed === '') return bad('the address is empty', write);
  if (trimmed.includes('://')) return bad('a URL where host:port is meant', write);
  const [head, tail] = splitAtPort(trimmed);
  const port = tail === null ? null : readPort(tail);
  if (port !== null) {
    if (head === '' && anyHost)
      return good({ hosts: ['*'], port, remark: remark(['*'], port, 'no host before the port, which means every address') });
    const withPort = readHosts(head, port, false);
    if (withPort.ok) return withPort;
    // `::1` ends in what looks like a port, and is an address as a whole.
    const whole = defaultPort === null ? null : readHosts(trimmed, defaultPort, true);
    if (whole?.ok) return whole;
    if (isIPv6(trimmed)) return bad('the port is missing', `write '${bracketed(trimmed)}:${portOf(example)}'`);
    return bad(withPort.wrongs[0].message, withPort.wrongs[0].mend || write);
  }
  const alone = readHosts(trimmed, defaultPort ?? 0, true);
  if (alone.ok && defaultPort !== null) return alone;
  if (alone.ok) return bad('the port is missing', isIPv6(trimmed) ? `write '${bracketed(trimmed)}:${portOf(example)}'` : write);
  if (tail !== null) return bad('the port is not a number from 1 to 65535', write);
  return bad(alone.wrongs[0].message, alone.wrongs[0].mend || write);
}

/** As Patroni: what stands behind the last colon is the port, unless it ends inside brackets. */
function splitAtPort(text: string): readonly [string, string | null] {
  const colon = text.lastIndexOf(':');
  if (colon < 0 || text.indexOf(']', colon) >= 0) return [text, null];
  return [text.slice(0, colon), text.slice(colon + 1).trim()];
}

export function readPort(text: string): number | null {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65535 ? port : null;
}

/** `byDefault`: the port was not written. */
function readHosts(text: string, port: number, byDefault: boolean): Read<Address> {
  const parts = text.split(',').map((part) => part.trim());
  const hosts: string[] = [];
  for (const part of parts) {
    const host = readHost(part);
    if (!host.ok) return host;
    hosts.push(host.value);
  }
  const bare = parts.some((part) => part.includes(':') && !part.startsWith('['));
  const what = `an IPv6 address without brackets, read as host ${hosts.join(',')} and ${byDefault ? 'the default port' : 'port'} ${port}`;
  return good({ hosts, port, remark: bare ? remark(hosts, port, what) : null });
}

function remark(hosts: readonly string[], port: number, message: string): Wrong {
  return { message, mend: `write '${hosts.map(bracketed).join(',')}:${port}'` };
}

function readHost(text: string): Read<string> {
  const inside = /^\[(.*)\]$/.exec(text);
  if (inside) return isIPv6(inside[1]!) ? good(inside[1]!) : bad('the brackets hold no IPv6 address', "write such as '[::1]:5432'");
  if (isIPv6(text)) return good(text);
  if (text.includes(':')) return bad('neither an IPv6 address nor a host and a port', '');
  if (text === '') return bad('the host is missing', '');
  if (text === '*' || /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/.test(text)) return good(text);
  return bad('not a host name or address', '');
}

function portOf(example: string): string {
  return example.slice(example.lastIndexOf(':') + 1);
}

/** As it goes into `host:port` and URLs. */
export function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** The reverse; leaves a list of hosts as it is. */
export function unbracketed(host: string): string {
  return host.replace(/^\[([^\]]*)\]$/, '$1');
}

export function isWildcard(host: string): boolean {
  return host === '*' || host === '0.0.0.0' || host === '::';
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}
