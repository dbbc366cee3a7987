/** The `history` key: which timeline of the cluster ended where, and why the lead changed there. */
import { isoFromEpochMs } from '../support/iso-time.ts';
import type { JsonValue } from '../support/json.ts';
import type { HistoryEntry } from './cluster.ts';
import type { Context } from './context.ts';
import type { Effect } from './effects.ts';

/** Null: it is as it should be, or this leader does not know better. */
export function historyKey(c: Context): Effect | null {
  const timeline = c.o.pg.sql?.timeline ?? null;
  const recorded = c.view?.history ?? [];
  if (timeline === null) return null;
  if (timeline === 1) return recorded.length > 0 ? { kind: 'write-history', value: [] } : null;
  const last = recorded.at(-1);
  if (isRecorded(c) && last?.timestamp !== undefined && last.newLeader !== undefined) return null;
  const own = c.o.pg.localHistory;
  if (own.at(-1)?.timeline !== timeline - 1) return null;
  const max = c.o.settings.dynamic.maxTimelinesHistory;
  const kept = max > 0 ? own.slice(-max) : own;
  return { kind: 'write-history', value: kept.map((entry, i) => historyLine(c, entry, recorded, i === kept.length - 1)) };
}

/**
 * It tells of the beginning of the timeline that this server is on. After a time as a standby
 * cluster the number alone may be that of another timeline.
 */
export function isRecorded({ view, o: { pg } }: Context): boolean {
  const [last, own] = [view?.history.at(-1), pg.localHistory.at(-1)];
  if (last === undefined || pg.sql?.timeline == null || last.timeline !== pg.sql.timeline - 1) return false;
  return own?.timeline !== last.timeline || own.switchLsn === last.switchLsn;
}

/**
 * Lines that are not in the history this standby leader has from the server outside. They would be
 * held against every member as soon as the cluster follows nobody any more. `isOutside`: what it
 * has is from there.
 */
export function disprovedHistory(c: Context, isOutside: boolean): Effect | null {
  // As it stands in etcd: `view` leaves it out in a standby cluster.
  const recorded = c.o.dcs.known ? c.o.dcs.view.history : [];
  const timeline = c.o.pg.sql?.timeline ?? null;
  const own = c.o.pg.localHistory;
  const isOwnKnown = timeline === 1 || own.length > 0;
  if (timeline === null || !isOwnKnown || !isOutside) return null;
  const kept = recorded.filter((line) => own.some(endsWhere(line)));
  return kept.length === recorded.length
    ? null
    : { kind: 'write-history', value: kept.map((entry) => historyLine(c, entry, recorded, false)) };
}

/** The same end of the same timeline, whatever else is told of it. */
const endsWhere =
  ({ timeline, switchLsn }: HistoryEntry) =>
  (other: HistoryEntry): boolean =>
    other.timeline === timeline && other.switchLsn === switchLsn;

function historyLine(c: Context, entry: HistoryEntry, recorded: readonly HistoryEntry[], isLast: boolean): JsonValue[] {
  // By place alone: a leader may have put its own reason into it.
  const known = recorded.find(endsWhere(entry));
  const line: JsonValue[] = [entry.timeline, entry.switchLsn, known?.reason ?? (isLast ? c.m.leadReason : null) ?? entry.reason];
  if (known?.timestamp !== undefined) line.push(known.timestamp, ...(known.newLeader === undefined ? [] : [known.newLeader]));
  else if (isLast) line.push(entry.timestamp ?? isoFromEpochMs(c.o.wallMs), c.me);
  return line;
}
