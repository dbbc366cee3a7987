/**
 * The standbys that a primary waits for while it stops in good order. In a fast shutdown PostgreSQL
 * ends a walsender once its standby has confirmed everything, the shutdown checkpoint included. If
 * the standby's host is gone without a word, it ends the walsender once wal_sender_timeout (60 s by
 * default) is over. Meanwhile no server takes writes.
 *
 * No standby that is needed is left out. A successor is a member that may take over from this
 * primary. One must have everything before any other standby is given up. A standby that is given
 * up is cut off. It then has a beginning of what the others have, and streams the rest from the
 * next leader.
 */
import { type ClusterView, mayLead, memberOf, sameName } from './cluster.ts';
import type { SqlFacts, WalsenderFacts } from './postgres-facts.ts';
import { withMemberNames } from './server-names.ts';
import { includes } from './voters.ts';

/** A standby that is sent WAL says within this time that it has it on disk, or anything else. */
export const SILENT_MS = 3000;
/**
 * Once everything is sent, standbys that need not be waited for have this long. One that is there
 * needs the time of a round trip.
 */
export const DRAIN_PATIENCE_MS = 1000;

export interface Connected {
  /** Of the walsender. */
  readonly pid: number;
  /** application_name: a member's name, or what a stranger calls itself. */
  readonly name: string;
}

/**
 * Members that may lead after `me`: the one the operator named, or else every member that may. One
 * of them has to get everything.
 */
export function successorsOf(view: ClusterView, me: string, candidate: string | null, mode: 'off' | 'on' | 'quorum'): readonly string[] {
  if (candidate !== null) return [candidate];
  const { sync } = view;
  const listed = mode === 'on' && sync?.leader != null ? sync.standbys : null;
  return view.members
    .filter(({ name, tags }) => !sameName(name, me) && mayLead(tags) && (listed === null || includes(listed, name)))
    .map(({ name }) => name);
}

export interface Silence {
  /**
   * Walsenders of members from which nothing has come since the first look, although there was
   * something to confirm.
   */
  readonly silent: readonly Connected[];
  /**
   * At least one successor is connected, and all connected ones are silent. A member that took over
   * now would lack what is still written. A member that took over now would lack what is still
   * written.
   */
  readonly successorsSilent: boolean;
}

/**
 * What two looks at a primary tell, SILENT_MS apart; or less, if no standby is silent. What was
 * flushed at the first is what has to be confirmed. Strangers (archivers, backups) may be slow to
 * reply in good health, and are not judged.
 */
export function silenceBetween(first: SqlFacts, last: SqlFacts, view: ClusterView, successors: readonly string[]): Silence {
  const mark = first.flushLsn;
  const isSilent = ({ pid, replyTime, flushLsn, state }: WalsenderFacts) =>
    mark !== null &&
    (state === 'streaming' || state === 'catchup') &&
    (flushLsn === null || flushLsn < mark) &&
    first.replication.some((before) => before.pid === pid && before.replyTime === replyTime);
  const members = withMemberNames(last, view).replication.filter(({ applicationName }) => memberOf(view, applicationName) !== null);
  const silent = members.filter(isSilent);
  const inLine = members.filter(({ applicationName }) => includes(successors, applicationName));
  return {
    silent: silent.map(({ pid, applicationName }) => ({ pid, name: applicationName })),
    successorsSilent: inLine.length > 0 && inLine.every((sender) => silent.includes(sender)),
  };
}

/**
 * Of the walsenders that were connected when the stop was ordered, those that need not be waited
 * for any longer, once everything is sent. A walsender that has ended by itself had its standby's
 * word for everything. Without successors (a restart) no other member will lead, and no standby is
 * waited for.
 */
export function dispensable(
  connected: readonly Connected[],
  ended: ReadonlySet<number>,
  successors: readonly string[],
): readonly Connected[] {
  const served = successors.length === 0 || connected.some(({ pid, name }) => ended.has(pid) && includes(successors, name));
  return served ? connected.filter(({ pid }) => !ended.has(pid)) : [];
}
