/**
 * Whether a commit may be acknowledged: PostgreSQL's meaning of synchronous_standby_names
 * (src/backend/replication/syncrep.c, PostgreSQL 13 to 18). It knows walsenders, not standbys: a
 * position counts whatever timeline it is on, and two walsenders of one name are two.
 */
import type { SyncNames } from '../../../src/core/sync-names.ts';
import type { Lsn } from '../../../src/core/units.ts';
import type { Sender } from '../replication-link.ts';

/** What counts of a walsender. */
export type Confirming = Pick<Sender, 'flushLsn' | 'state' | 'writeLsn'> & { readonly standby: { readonly name: string } };

/**
 * Of one parsed setting: what was asked for a moment ago is asked for again, with every
 * confirmation.
 */
const priorities = new WeakMap<SyncNames, Map<string, number>>();

/**
 * sync_standby_priority: 1 for all in a quorum, the place in the list otherwise, 0 for who is not
 * listed.
 */
export function priorityOf(names: SyncNames, applicationName: string): number {
  const known = priorities.get(names) ?? new Map<string, number>();
  const found = known.get(applicationName);
  if (found !== undefined) return found;
  const priority = placeIn(names, applicationName.toLowerCase());
  priorities.set(names, known.set(applicationName, priority));
  return priority;
}

function placeIn(names: SyncNames, name: string): number {
  const at = names.names.findIndex((listed) => listed === '*' || listed.toLowerCase() === name);
  if (at < 0) return 0;
  return names.method === 'quorum' ? 1 : at + 1;
}

/**
 * Rank of a walsender that streams (those that still catch up do not count) and is listed; 0: it is
 * no candidate.
 */
const rankOf = (names: SyncNames, { state, flushLsn, standby }: Confirming): number =>
  state === 'streaming' && flushLsn !== null ? priorityOf(names, standby.name) : 0;

/** Best first. */
export function candidates<S extends Confirming>(names: SyncNames, senders: readonly S[]): readonly S[] {
  // Stable: of one rank the walsender that was there first.
  return senders.filter((sender) => rankOf(names, sender) > 0).sort((a, b) => rankOf(names, a) - rankOf(names, b));
}

/**
 * `by`: what a session with synchronous_commit = on waits for, or one with remote_write. Asked with
 * every commit and every confirmation, so it builds no list of candidates. In a quorum it is enough
 * to count the standbys that have it. Otherwise the first that lacks it must come after as many as
 * are waited for.
 */
export function confirms(names: SyncNames, senders: readonly Confirming[], lsn: Lsn, by: 'flushLsn' | 'writeLsn' = 'flushLsn'): boolean {
  const { method, count } = names;
  if (method === 'off') return true;
  let able = 0;
  let reached = 0;
  let lacks = Number.POSITIVE_INFINITY;
  for (const sender of senders) {
    const rank = rankOf(names, sender);
    if (rank === 0) continue;
    able += 1;
    if ((sender[by] ?? sender.flushLsn ?? -1n) >= lsn) reached += 1;
    else if (rank < lacks) lacks = rank;
  }
  if (able < count) return false;
  if (method === 'quorum' || reached < count || reached === able) return reached >= count;
  return before(names, senders, lacks, lsn, by) >= count;
}

/** How many candidates come before the first that lacks it, which has that rank. */
function before(names: SyncNames, senders: readonly Confirming[], lacks: number, lsn: Lsn, by: 'flushLsn' | 'writeLsn'): number {
  let found = 0;
  let met = false;
  for (const sender of senders) {
    const rank = rankOf(names, sender);
    if (rank === 0 || rank > lacks) continue;
    if (rank < lacks) found += 1;
    else if ((sender[by] ?? sender.flushLsn ?? -1n) < lsn) met = true;
    else if (!met) found += 1;
  }
  return found;
}
