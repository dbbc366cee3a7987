/**
 * Name look-ups that outlive a dead resolver. Node asks the system for every new connection. A
 * resolver that hangs would then hang every call and more, because look-ups share a small thread
 * pool with file access. Known answers are used at once and refreshed behind the caller's back; a
 * failed refresh keeps the old answer. Each name is looked up once at a time, however many wait for
 * it. After a failure the next try comes no sooner than 30 s later, as in Patroni.
 */
import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import type { Clock } from '../../ports/clock.ts';

const RETRY_MS = 30_000;

export interface LookupOptions {
  /** So old may an answer be before it is refreshed. */
  readonly freshMs: number;
  readonly resolve?: Resolve;
}

interface Entry {
  addresses: LookupAddress[];
  refreshAtMs: number;
  refreshing: boolean;
}

type Waiter = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;
export type Resolve = (host: string, done: Waiter) => void;

const resolveBySystem: Resolve = (host, done) => systemLookup(host, { all: true }, done);

export function cachingLookup(clock: Clock, { freshMs, resolve = resolveBySystem }: LookupOptions): LookupFunction {
  const known = new Map<string, Entry>();
  const waiting = new Map<string, Waiter[]>();

  const refresh = (host: string, entry: Entry) => {
    entry.refreshing = true;
    resolve(host, (error, addresses) => {
      entry.refreshing = false;
      entry.refreshAtMs = clock.monotonicMs() + (error ? RETRY_MS : freshMs);
      if (!error && addresses.length > 0) entry.addresses = addresses;
    });
  };

  return (host, options, callback) => {
    const give = (addresses: LookupAddress[]) => {
      const wanted = options.family === 4 || options.family === 6 ? addresses.filter((one) => one.family === options.family) : addresses;
      const usable = wanted.length > 0 ? wanted : addresses;
      if (options.all) callback(null, usable);
      else callback(null, usable[0]!.address, usable[0]!.family);
    };
    const entry = known.get(host);
    if (entry) {
      if (!entry.refreshing && clock.monotonicMs() >= entry.refreshAtMs) refresh(host, entry);
      // Answering within the caller's own turn would break what node:net expects.
      process.nextTick(give, entry.addresses);
      return;
    }
    const waiter: Waiter = (error, addresses) => {
      if (error || addresses.length === 0) callback(error ?? new Error(`no address for ${host}`), []);
      else give(addresses);
    };
    const others = waiting.get(host);
    if (others !== undefined) return void others.push(waiter);
    const waiters = [waiter];
    waiting.set(host, waiters);
    resolve(host, (error, addresses) => {
      waiting.delete(host);
      if (!error && addresses.length > 0) known.set(host, { addresses, refreshAtMs: clock.monotonicMs() + freshMs, refreshing: false });
      for (const each of waiters) each(error, addresses);
    });
  };
}
