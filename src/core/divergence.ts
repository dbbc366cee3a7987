/**
 * Does this node's WAL contain anything that is not in the history of the node it is to follow?
 *
 * A position is (timeline, LSN). Following is safe exactly when the own position is a prefix of the
 * source's history: the own timeline is one of the source's ancestors (or its current one), the
 * histories before it agree entry by entry, and the own position is not past the point where the
 * source left it. Equal timeline numbers prove nothing: two nodes may have picked the same number
 * on their own (M13). The comparison of entries finds that out where they began it at different
 * points, and the WAL it begins with where they began it at the same one.
 */
import type { HistoryEntry } from './cluster.ts';
import type { Context } from './context.ts';
import {
  type ControlFacts,
  type PostgresFacts,
  type SourceHistory,
  type TimelineStart,
  type WalEnd,
  walPosition,
} from './postgres-facts.ts';
import type { Lsn, Timeline } from './units.ts';

export type Divergence = 'prefix' | 'diverged' | 'unknown';

export interface Position {
  readonly timeline: Timeline;
  readonly lsn: Lsn;
  /**
   * The LSN is the START of the last record (the shutdown checkpoint of an orderly stopped
   * primary), so it must lie strictly before a switch point. Otherwise it is the end of the WAL
   * known here.
   */
  readonly atRecordStart: boolean;
  /** WAL may exist past `lsn` that nobody can tell of without crash recovery. */
  readonly open: boolean;
  /** The server wrote WAL of its own in its last life, as a primary does. */
  readonly written?: true;
}

/** Where a stopped node's WAL ends, by pg_controldata. */
export function stoppedPosition(control: ControlFacts): Position {
  const inRecovery = control.state === 'shut down in recovery' || control.state === 'in archive recovery';
  if (inRecovery && control.minRecoveryLsn !== null && control.minRecoveryLsn > 0n) {
    return { timeline: control.minRecoveryTimeline ?? control.timeline, lsn: control.minRecoveryLsn, atRecordStart: false, open: false };
  }
  return {
    // A promotion writes its timeline here at once, and the checkpoint that tells it as well
    // follows later.
    timeline: Math.max(control.timeline, control.minRecoveryTimeline ?? 0),
    lsn: control.checkpointLsn,
    atRecordStart: true,
    open: control.state !== 'shut down' && !inRecovery,
    ...(inRecovery ? {} : { written: true as const }),
  };
}

export function localPosition(pg: PostgresFacts): Position | null {
  if (pg.state === 'running' && pg.sql !== null) {
    const lsn = walPosition(pg.sql);
    return lsn === null || pg.sql.timeline === null ? null : { timeline: pg.sql.timeline, lsn, atRecordStart: false, open: false };
  }
  // Where its WAL ends only recovery can tell; what it begins with is all that it can be compared
  // by.
  if (pg.baseBackup !== undefined)
    return { timeline: pg.baseBackup.timeline, lsn: pg.baseBackup.checkpointLsn, atRecordStart: true, open: false };
  return pg.control === null ? null : stoppedPosition(pg.control);
}

/**
 * The node it is to follow has less than this one: its timeline is an earlier one. Whoever led on
 * the later timeline was followed by somebody, or acknowledged by itself; a leader that does not
 * know of it has its key from an etcd that was restored from an older backup, or from an operator.
 * A promotion that this agent saw to be nobody's order is no such timeline.
 */
export function leaderHasLess({ o, m }: Pick<Context, 'o' | 'm'>): boolean {
  const { pg, source } = o;
  if (source === null || source.inRecovery || m.openedByHand || pg.systemIdentifier !== source.systemIdentifier) return false;
  const local = localPosition(pg);
  return local !== null && local.timeline > source.timeline;
}

export function compareHistories(local: Position, localHistory: readonly HistoryEntry[], source: SourceHistory): Divergence {
  if (local.timeline > source.timeline) return 'diverged';
  for (const own of localHistory) {
    if (own.timeline >= local.timeline) break;
    const theirs = source.history.find((entry) => entry.timeline === own.timeline);
    if (theirs === undefined || theirs.switchLsn !== own.switchLsn) return 'diverged';
  }
  if (local.timeline === source.timeline) {
    if (historiesBelow(localHistory, local.timeline) !== historiesBelow(source.history, local.timeline)) return 'diverged';
    return compareEnds(local, source);
  }
  const left = source.history.find((entry) => entry.timeline === local.timeline);
  if (left === undefined) return 'diverged';
  // A crashed primary's WAL end is unknown; only a rewind (which finds out by itself) may decide
  // it.
  if (local.open) return 'diverged';
  const within = local.atRecordStart ? local.lsn < left.switchLsn : local.lsn <= left.switchLsn;
  // Where that WAL is gone the numbers are all there is to go by.
  return within && source.hasOurEnd !== false ? 'prefix' : 'diverged';
}

/**
 * Whether the source is to have the same WAL at that place: on the timeline of both, or on an
 * earlier one, before the source left it.
 */
export function sharesPlace(source: Pick<SourceHistory, 'timeline' | 'history'>, timeline: Timeline, lsn: Lsn): boolean {
  if (timeline === source.timeline) return true;
  const left = source.history.find((entry) => entry.timeline === timeline);
  return left !== undefined && lsn < left.switchLsn;
}

/**
 * On one timeline. Nobody is sent what its source has not flushed, so whoever is further than the
 * source, which was asked after the own position was read, has WAL of its own. And a server that
 * ended as a primary wrote at least a checkpoint: a replica that was opened for writes by hand has
 * that where the leader has something else, also where the leader has gone on to a later timeline
 * since. Only a cold copy of the leader has the same.
 */
function compareEnds(local: Position, source: SourceHistory): Divergence {
  if (local.atRecordStart ? local.lsn >= source.lsn : local.lsn > source.lsn) return 'diverged';
  if (source.hasOurEnd === false) return 'diverged';
  return local.written === true && source.hasOurEnd === undefined ? 'unknown' : 'prefix';
}

/** What is to be looked for in the WAL of the source; null: this server did not write its own. */
export function writtenEnd(pg: PostgresFacts): WalEnd | null {
  const local = pg.state === 'stopped' ? localPosition(pg) : null;
  return local?.written === true ? { timeline: local.timeline, checkpointLsn: local.lsn, open: local.open } : null;
}

/**
 * It replayed more than its walreceiver has flushed in this life: that is so for a moment after the
 * start, and for good where it has WAL that its source has not.
 */
function seemsAhead({ sql }: PostgresFacts): boolean {
  return sql?.receiver?.status === 'streaming' && sql.replayLsn !== null && sql.receiveLsn !== null && sql.replayLsn > sql.receiveLsn;
}

/** WAL comes from its source, and what it has replayed came from there as well. */
export function streamsInOrder(pg: PostgresFacts): boolean {
  return pg.sql?.receiver?.status === 'streaming' && !seemsAhead(pg);
}

/** This standby has WAL on its source's timeline that its source has not. */
export function isAhead(pg: PostgresFacts, source: SourceHistory | null): boolean {
  const local = localPosition(pg);
  return local !== null && source?.inRecovery === false && local.timeline === source.timeline && local.lsn > source.lsn;
}

function historiesBelow(history: readonly HistoryEntry[], timeline: Timeline): string {
  return history
    .filter((entry) => entry.timeline < timeline)
    .map((entry) => `${entry.timeline}@${entry.switchLsn}`)
    .join(' ');
}

/**
 * By the cluster's own /history: a position past the point at which the cluster left its timeline.
 * Needs no leader to compare with, so it holds for a race too. False where /history does not tell.
 */
export function pastSwitchPoint(timeline: Timeline | null, lsn: Lsn | null, history: readonly HistoryEntry[]): boolean {
  const left = history.find((entry) => entry.timeline === timeline);
  return left !== undefined && lsn !== null && lsn > left.switchLsn;
}

export function divergenceFrom(pg: PostgresFacts, source: SourceHistory | null): Divergence {
  if (source === null || source.inRecovery) return 'unknown';
  if (pg.systemIdentifier !== null && pg.systemIdentifier !== source.systemIdentifier) return 'diverged';
  const local = localPosition(pg);
  if (local === null) return 'unknown';
  return beginsOtherwise(pg, source) ? 'diverged' : compareHistories(local, pg.localHistory, source);
}

/**
 * Where the timeline this node is on begins, as its history file says; null: on timeline 1, or not
 * known.
 */
export function timelineStart(pg: PostgresFacts): TimelineStart | null {
  const timeline = localPosition(pg)?.timeline ?? null;
  const parent = timeline === null ? undefined : pg.localHistory.filter((entry) => entry.timeline < timeline).at(-1);
  return timeline === null || parent === undefined ? null : { timeline, from: parent.switchLsn };
}

function beginsOtherwise(pg: PostgresFacts, source: SourceHistory): boolean {
  return pg.beginning !== undefined && source.beginning !== undefined && pg.beginning !== source.beginning;
}

/**
 * Timelines of one number, each begun on its own. pg_rewind looks at numbers and histories only
 * (findCommonAncestorTimeline in pg_rewind.c, PostgreSQL 13 to 18): on the source's present
 * timeline it says "no rewind required", ends with 0 and leaves all as it is; on one of its former
 * ones it takes for common what is not, as it does with what a node wrote there before the point
 * where the source left it. A node that diverged in this way has to be cloned.
 */
export function rewindIsBlind(pg: PostgresFacts, source: SourceHistory | null): boolean {
  const local = localPosition(pg);
  if (local === null || source === null) return false;
  return local.timeline === source.timeline || beginsOtherwise(pg, source) || source.hasOurEnd === false;
}
