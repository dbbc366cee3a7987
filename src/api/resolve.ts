/**
 * Resolves names to addresses with a deadline, because the resolver's own timeouts are tens of
 * seconds.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { type Clock, sleep } from '../ports/clock.ts';

const RESOLVE_TIMEOUT_MS = 2000;

/**
 * Returns all addresses of all names. Names that do not resolve in time are skipped and reported.
 */
export async function resolveAll(names: readonly string[], clock: Clock): Promise<{ addresses: string[]; failed: string[] }> {
  const failed: string[] = [];
  const found = await Promise.all(
    names.map(async (name) => {
      const addresses = isIP(name) === 0 ? await resolveOne(name, clock) : [name];
      if (addresses.length === 0) failed.push(name);
      return addresses;
    }),
  );
  return { addresses: found.flat(), failed };
}

async function resolveOne(name: string, clock: Clock): Promise<string[]> {
  const stop = new AbortController();
  const late = sleep(clock, RESOLVE_TIMEOUT_MS, stop.signal).then(() => []);
  const answer = lookup(name, { all: true }).then(
    (entries) => entries.map((entry) => entry.address),
    () => [],
  );
  const addresses = await Promise.race([answer, late]);
  stop.abort();
  return addresses;
}
