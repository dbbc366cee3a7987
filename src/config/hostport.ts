/** Addresses: `host:port`, `[::1]:5432`, `a,b:5432`, `*:5432`. */
import { isIPv6 } from 'node:net';
import { bad, good, type Read } from './read.ts';

export interface Address {
  /** Without brackets. At least one. */
  readonly hosts: readonly string[];
  readonly port: number;
}

/** defaultPort null: the port must be written. `example` is what the mend shows. */
export function parseAddress(text: string, defaultPort: number | null, example: string): Read<Address> {
  const write = `write host:port, such as '${example}'`;
  const trimmed = text.trim();
  if (trimmed === '') return bad('the address is empty', write);
  if (trimmed.includes('://')) return bad('a URL where host:port is meant', write);
  if (isIPv6(trimmed)) return bad('an IPv6 address without brackets', `write '[${trimmed}]:${defaultPort ?? 5432}'`);
  const match = /^(.*?)(?::([^:\]]*))?$/s.exec(trimmed)!;
  const port = readPort(match[2], defaultPort);
  if (port === null) {
    return match[2] === undefined ? bad('the port is missing', write) : bad('the port is not a number from 1 to 65535', write);
  }
  const hosts: string[] = [];
  for (const part of match[1]!.split(',')) {
    const host = readHost(part.trim());
    if (!host.ok) return bad(host.wrongs[0].message, host.wrongs[0].mend || write);
    hosts.push(host.value);
  }
  return good({ hosts, port });
}

function readPort(text: string | undefined, fallback: number | null): number | null {
  if (text === undefined) return fallback;
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65535 ? port : null;
}

function readHost(text: string): Read<string> {
  const bracketed = /^\[(.*)\]$/.exec(text);
  if (bracketed)
    return isIPv6(bracketed[1]!) ? good(bracketed[1]!) : bad('the brackets hold no IPv6 address', "write such as '[::1]:5432'");
  if (text.includes(':')) return bad('an IPv6 address without brackets', "put it in brackets: '[::1]:5432'");
  if (text === '') return bad('the host is missing', '');
  if (text === '*' || /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/.test(text)) return good(text);
  return bad('not a host name or address', '');
}

/** As it goes into `host:port` and URLs. */
export function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

export function isWildcard(host: string): boolean {
  return host === '*' || host === '0.0.0.0' || host === '::';
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}
