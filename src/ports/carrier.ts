import type { JsonObject } from '../support/json.ts';
import type { Links } from './links.ts';

/** The `kind` of the messages (ports/links.ts) that ask for a call to be carried. */
export const CARRIED_KIND = 'etcd';

/**
 * Carries calls to etcd for a leader that cannot reach it. It asks its own etcd directly, and only
 * if that is the one the caller's data belong to. It carries what a leader needs to stay one:
 * renewals and grants of leases, and reads and transactions within the keys of this cluster.
 */
export interface Carrier {
  /**
   * `from`: who asks. The answer says so where it refuses, or where etcd gave none. Never throws.
   */
  carry(from: string, message: JsonObject): Promise<JsonObject>;
}

/** The same links, where messages that ask for a carried call do not reach the listener. */
export function withCarrier(links: Links, carrier: Carrier): Links {
  return {
    ...links,
    listen: (listener) =>
      links.listen({
        ...listener,
        asked: (from, message) => (message['kind'] === CARRIED_KIND ? carrier.carry(from, message) : listener.asked(from, message)),
      }),
  };
}
