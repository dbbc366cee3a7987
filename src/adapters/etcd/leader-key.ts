/**
 * The leader key: plain text, the name of its holder, on the holder's lease. Transactions as in
 * docs/wire.md.
 */
import type { CallOptions, JudgedLead } from '../../ports/dcs.ts';
import { encodeSync } from './encode.ts';
import type { Gateway } from './gateway.ts';
import { memberKey } from './keys.ts';
import { restless, storedIn, type Transactions } from './txn.ts';

const LEADER = 'leader';
/**
 * A second one is needed when an answer was lost before; more only if the key changes all the time.
 */
const ATTEMPTS = 3;

/**
 * Creates the key if there is none. True also if it already holds our name on our lease: an earlier
 * request whose reply was lost. After DCS_UNREACHABLE a copy may still take effect late, until the
 * member writes its own key again or the lease ends. A member that finds itself named in a read of
 * the cluster is the holder.
 */
export function acquireLeader(keys: Transactions, name: string, leaseId: string, options: CallOptions): Promise<boolean> {
  return keys.create(LEADER, name, leaseId, memberKey(name), options);
}

/**
 * Puts the key on this lease if it holds our name; where it is absent, creates it as
 * `acquireLeader` does. True also if it is on our lease already. A copy that takes effect late
 * finds the key unchanged since this call, or does nothing. Otherwise a holder that has put the key
 * on a newer lease meanwhile would lose it with the older one, which no agent renews.
 */
export async function attachLeader(
  gateway: Gateway,
  keys: Transactions,
  name: string,
  leaseId: string,
  options: CallOptions,
): Promise<boolean> {
  const left = gateway.countdown(options.timeoutMs);
  let known = gateway.guard.revision;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const compare = [keys.valueIs(LEADER, name), keys.unchangedSince(LEADER, known)];
    const outcome = await keys.run(compare, [keys.put(LEADER, name, leaseId)], [keys.get(LEADER)], { timeoutMs: left() });
    if (outcome.succeeded) return true;
    const stored = storedIn(outcome.responses[0]);
    if (stored === null) return acquireLeader(keys, name, leaseId, { timeoutMs: left() });
    if (stored.value !== name) return false;
    if (stored.leaseId === leaseId) return true;
    known = outcome.revision;
  }
  throw restless();
}

/**
 * Puts the leader key and /sync, if both still have the revisions by which they were judged. True
 * also when the key holds our name on our lease already: an earlier copy whose reply was lost. A
 * copy that takes effect late finds both keys unchanged, or does nothing. While they are unchanged,
 * the voters' promises by which it was sent still hold.
 */
export async function takeLead(
  keys: Transactions,
  name: string,
  leaseId: string,
  { term, expected, sync }: JudgedLead,
  options: CallOptions,
): Promise<boolean> {
  const compare = [keys.revisionIs(LEADER, term), keys.revisionIs('sync', expected.modRevision)];
  const puts = [keys.put(LEADER, name, leaseId), keys.put('sync', encodeSync(sync), null)];
  const outcome = await keys.run(compare, puts, [keys.get(LEADER)], options);
  if (outcome.succeeded) return true;
  const stored = storedIn(outcome.responses[0]);
  return stored?.value === name && stored.leaseId === leaseId;
}

/** The same without /sync, where no standby has promised anything. */
export async function takeRefused(keys: Transactions, name: string, leaseId: string, term: string, options: CallOptions): Promise<boolean> {
  const compare = [keys.revisionIs(LEADER, term)];
  const outcome = await keys.run(compare, [keys.put(LEADER, name, leaseId)], [keys.get(LEADER)], options);
  if (outcome.succeeded) return true;
  const stored = storedIn(outcome.responses[0]);
  return stored?.value === name && stored.leaseId === leaseId;
}

/**
 * Deletes the key if it holds `name`. It also returns true after a copy with an unknown fate was
 * sent, if the key is absent now or another member took it after the call began. That copy has
 * deleted the key, or the lease ran out meanwhile, which comes to the same. A copy that takes
 * effect late finds the key unchanged since this call, or does nothing. So a holder that has taken
 * or attached it again keeps it.
 */
export async function releaseLeader(gateway: Gateway, keys: Transactions, name: string, options: CallOptions): Promise<boolean> {
  const left = gateway.countdown(options.timeoutMs);
  // Without a revision from before the call, nobody could tell a successor from a holder who was
  // there all along.
  if (gateway.guard.revision === 0n) await keys.run([], [keys.get(LEADER)], [], { timeoutMs: left() });
  const begun = gateway.guard.revision;
  let known = begun;
  let maybeApplied = false;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const compare = [keys.valueIs(LEADER, name), keys.unchangedSince(LEADER, known)];
    const outcome = await keys.run(compare, [keys.delete(LEADER)], [keys.get(LEADER)], { timeoutMs: left() });
    if (outcome.succeeded) return true;
    maybeApplied ||= outcome.maybeApplied;
    const stored = storedIn(outcome.responses[0]);
    // Ours, put by a request of which no answer came: now its revision is known.
    if (stored?.value === name && stored.modRevision > known) known = outcome.revision;
    else return maybeApplied && (stored === null || stored.createRevision > begun);
  }
  throw restless();
}
