/**
 * Whether anybody listens on an address: a TCP connection and nothing more, so that neither
 * credentials nor certificates matter.
 *
 * Names are asked for at the DNS servers first, under a deadline: the C library's resolver cannot
 * be interrupted, and a process that ends waits for it (10 s where a server swallows the question),
 * which is just what a host cut off from the network looks like.
 */
import { lookup, Resolver } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { connect, isIP } from 'node:net';
import { codeOf, ensureError } from '../support/errors.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * Null: somebody listens. Else what came instead, as the end of a sentence that begins with the
 * address. Never rejects.
 */
export type Reach = (address: Address, timeoutMs: number) => Promise<string | null>;

/** DNS servers that are asked again would exceed any deadline of ours. */
const DNS_TRIES = 1;

export const reachTcp: Reach = async ({ host, port }, timeoutMs) => {
  const end = performance.now() + timeoutMs;
  try {
    const addresses = await addressesOf(host, timeoutMs);
    const left = end - performance.now();
    const reasons = await Promise.all(addresses.map((address) => knock({ host: address, port }, left)));
    return reasons.includes(null) ? null : (reasons[0] ?? 'has no address');
  } catch (error) {
    return error instanceof Silence
      ? 'cannot be looked up in time'
      : `cannot be looked up (${codeOf(error) ?? ensureError(error).message})`;
  }
};

class Silence extends Error {}

async function addressesOf(host: string, timeoutMs: number): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host];
  const served = (await inHostsFile(host)) ? null : await fromServers(host, timeoutMs);
  // What the servers do not know may still be known to the machine (search domains, other sources);
  // they have answered, so it is quick.
  return served ?? (await lookup(host, { all: true })).map(({ address }) => address);
}

/** null: the servers do not know the name. Throws Silence. */
async function fromServers(host: string, timeoutMs: number): Promise<readonly string[] | null> {
  const resolver = new Resolver({ timeout: timeoutMs, tries: DNS_TRIES });
  const deadline = setTimeout(() => resolver.cancel(), timeoutMs);
  try {
    return await Promise.any([resolver.resolve4(host), resolver.resolve6(host)]);
  } catch (error) {
    const silent = error instanceof AggregateError && error.errors.some((each) => ['ETIMEOUT', 'ECANCELLED'].includes(codeOf(each) ?? ''));
    if (silent) throw new Silence();
    return null;
  } finally {
    clearTimeout(deadline);
    resolver.cancel();
  }
}

async function inHostsFile(host: string): Promise<boolean> {
  const text = await readFile('/etc/hosts', 'utf8').catch(() => '');
  const wanted = host.toLowerCase();
  return text.split('\n').some((line) => line.replace(/#.*/, '').toLowerCase().split(/\s+/).slice(1).includes(wanted));
}

function knock(address: Address, timeoutMs: number): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect(address);
    const done = (reason: string | null) => {
      clearTimeout(deadline);
      socket.destroy();
      resolve(reason);
    };
    const deadline = setTimeout(() => done('does not answer'), Math.max(1, timeoutMs));
    socket.once('connect', () => done(null));
    socket.once('error', (error) =>
      done(codeOf(error) === 'ECONNREFUSED' ? 'refuses the connection' : `cannot be reached (${codeOf(error)})`),
    );
  });
}
