/**
 * Whether a commit may be acknowledged: PostgreSQL's meaning of synchronous_standby_names (src/backend/replication/syncrep.c, PostgreSQL 13 to 18).
 * It knows walsenders, not standbys: a position counts whatever timeline it is on, and two walsenders of one name are two.
 */
import type { SyncNames } from '../../../src/core/sync-names.ts';
import type { Lsn } from '../../../src/core/units.ts';
import type { Sender } from '../replication.ts';

/** sync_standby_priority: 1 for all in a quorum, the place in the list otherwise, 0 for who is not listed. */
export function priorityOf(names: SyncNames, applicationName: string): number {
  const name = applicationName.toLowerCase();
  const at = names.names.findIndex((listed) => listed === '*' || listed.toLowerCase() === name);
  if (at < 0) return 0;
  return names.method === 'quorum' ? 1 : at + 1;
}

/** Candidates: walsenders that stream (those that still catch up do not count) and are listed, best first. */
export function candidates(names: SyncNames, senders: readonly Sender[]): readonly Sender[] {
  const ranked: Array<{ readonly sender: Sender; readonly rank: number }> = [];
  for (const sender of senders) {
    const rank = sender.state === 'streaming' && sender.flushLsn !== null ? priorityOf(names, sender.standby.name) : 0;
    if (rank > 0) ranked.push({ sender, rank });
  }
  // Stable: of one rank the walsender that was there first.
  return ranked.sort((a, b) => a.rank - b.rank).map(({ sender }) => sender);
}

/** `by`: what a session with synchronous_commit = on waits for, or one with remote_write. */
export function confirms(names: SyncNames, senders: readonly Sender[], lsn: Lsn, by: 'flushLsn' | 'writeLsn' = 'flushLsn'): boolean {
  if (names.method === 'off') return true;
  const able = candidates(names, senders);
  if (able.length < names.count) return false;
  const reached = (sender: Sender) => (sender[by] ?? sender.flushLsn ?? -1n) >= lsn;
  if (names.method === 'quorum') return able.filter(reached).length >= names.count;
  return able.slice(0, names.count).every(reached);
}
