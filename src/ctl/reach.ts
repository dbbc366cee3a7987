/**
 * Checks whether anything listens on an address. It only opens a TCP connection, so credentials and
 * certificates do not matter.
 *
 * It asks the DNS servers first, with a deadline. The C library's resolver cannot be interrupted,
 * and a process that ends waits for it. On a host that is cut off from the network, that takes 10
 * s.
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
 * Null: something listens. Otherwise what happened instead, as the end of a sentence that begins
 * with the address. Never rejects.
 */
export type Reach = (address: Address, timeoutMs: number) => Promise<string | null>;

/** A second try at the DNS servers would take longer than any of our deadlines. */
const DNS_TRIES = 1;

export const reachTcp: Reach = async ({ host, port }, timeoutMs) => {
  const end = performance.now() + timeoutMs;
  try {
    const addresses = await addressesOf(host, timeoutMs);
    const left = end - performance.now();
    const reasons = await Promise.all(addresses.map((address) => knock({ host: address, port }, left)));
    return reasons.includes(null) ? null : (reasons[0] ?? 'has no address');
  } catch (error) {
    return error instanceof Silence ? 'cannot be resolved in time' : `cannot be resolved (${codeOf(error) ?? ensureError(error).message})`;
  }
};

class Silence extends Error {}

async function addressesOf(host: string, timeoutMs: number): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host];
  const served = (await inHostsFile(host)) ? null : await fromServers(host, timeoutMs);
  // The machine may know a name that the servers do not (search domains, other sources). The
  // servers have answered, so this is quick.
  return served ?? (await lookup(host, { all: true })).map(({ address }) => address);
}

/** Null: the servers do not know the name. Throws Silence. */
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
