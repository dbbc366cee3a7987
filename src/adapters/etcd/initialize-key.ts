/**
 * The key `initialize`: empty on the lease of the member that bootstraps, then the system
 * identifier on no lease. Transactions as in docs/wire.md.
 */
import type { CallOptions, InitializeMark } from '../../ports/dcs.ts';
import type { Gateway } from './gateway.ts';
import { storedIn, type Transactions } from './txn.ts';

const INITIALIZE = 'initialize';
const NO_LEASE = '0';

/**
 * Writes the identifier over the empty mark on that lease, and over nothing else. A mark that ended
 * with its lease may be another member's by now, and so may the value in its place. Returns the
 * key's new mod revision; null: the mark is not there any more. The identifier is there already
 * where an earlier copy of this call, whose reply was lost, wrote it. A copy that takes effect late
 * finds the mark as it was, or does nothing.
 */
export async function publishInitialize(
  gateway: Gateway,
  keys: Transactions,
  systemIdentifier: string,
  leaseId: string,
  options: CallOptions,
): Promise<string | null> {
  const begun = gateway.guard.revision;
  const mark = [keys.leaseIs(INITIALIZE, leaseId), keys.valueIs(INITIALIZE, '')];
  const outcome = await keys.run(mark, [keys.put(INITIALIZE, systemIdentifier, null)], [keys.get(INITIALIZE)], options);
  if (outcome.succeeded) return String(outcome.revision);
  const stored = storedIn(outcome.responses[0]);
  if (!outcome.maybeApplied || stored === null || stored.modRevision <= begun) return null;
  return stored.value === systemIdentifier && stored.leaseId === NO_LEASE ? String(stored.modRevision) : null;
}

/** Deletes the key if it is as its writer left it. False: absent, or another's. */
export async function clearInitialize(keys: Transactions, own: InitializeMark, options: CallOptions): Promise<boolean> {
  if ('modRevision' in own) return keys.removeRevision(INITIALIZE, own.modRevision, options);
  const mark = [keys.leaseIs(INITIALIZE, own.leaseId), keys.valueIs(INITIALIZE, '')];
  const outcome = await keys.run(mark, [keys.delete(INITIALIZE)], [keys.get(INITIALIZE)], options);
  return outcome.succeeded || (outcome.maybeApplied && storedIn(outcome.responses[0]) === null);
}
