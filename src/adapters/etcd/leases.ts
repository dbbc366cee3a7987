/** Leases: granted, kept and given back. Ids are decimal text. */
import type { CallOptions } from '../../ports/dcs.ts';
import { codeOf, DcsError } from '../../support/errors.ts';
import type { Gateway } from './gateway.ts';

/** A grant whose reply is lost leaves a lease without keys behind, which runs out by itself. */
export async function grantLease(gateway: Gateway, ttlSeconds: number, { timeoutMs }: CallOptions): Promise<string> {
  const body = { TTL: String(Math.ceil(ttlSeconds)) };
  const { answer } = await gateway.call({ path: '/lease/grant', body, timeoutMs, consensus: true });
  const { ID: id, error } = answer;
  if (typeof id === 'string' && id !== '0') return id;
  throw new DcsError('DCS_UNREACHABLE', `etcd granted no lease: ${typeof error === 'string' ? error : 'no id in the answer'}`);
}

/**
 * Seconds the lease lives from the moment etcd renewed it, 0 when it is gone. A renewal is no
 * evidence of consensus. An etcd leader that has just been cut off renews for up to its election
 * timeout, and the next leader knows nothing of that. It gives every lease its whole ttl again, so
 * counting from the moment the request was sent stays on the safe side.
 */
export async function keepLeaseAlive(gateway: Gateway, leaseId: string, { timeoutMs }: CallOptions): Promise<number> {
  try {
    const { answer } = await gateway.call({ path: '/lease/keepalive', body: { ID: leaseId }, timeoutMs, consensus: false });
    const seconds = Number(answer['TTL'] ?? '0');
    return Number.isSafeInteger(seconds) && seconds > 0 ? seconds : 0;
  } catch (error) {
    if (codeOf(error) === 'DCS_LEASE_GONE') return 0;
    throw error;
  }
}

/** A lease that does not exist counts as given back. */
export async function revokeLease(gateway: Gateway, leaseId: string, { timeoutMs }: CallOptions): Promise<void> {
  try {
    await gateway.call({ path: '/lease/revoke', body: { ID: leaseId }, timeoutMs, consensus: true });
  } catch (error) {
    if (codeOf(error) !== 'DCS_LEASE_GONE') throw error;
  }
}
