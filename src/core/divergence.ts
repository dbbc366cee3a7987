/**
 * Does this node's WAL contain anything that is not in the history of the node it should follow?
 *
 * A position is (timeline, LSN). A node may follow exactly when its position is a prefix of the
 * source's history. That takes three things. The node's timeline is the source's or one of its
 * ancestors. The histories before it agree entry by entry. The position is not past the point where
 * the source left that timeline.
 *
 * Equal timeline numbers prove nothing, because two nodes may have picked the same number on their
 * own (M13). If they began the timeline at different points, the entries differ. If they began it
 * at the same point, the WAL that it begins with differs.
 */
import type { HistoryEntry } from './cluster.ts';
import type { Memory, Observation } from './model.ts';
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
   * The LSN is the START of the last record (the shutdown checkpoint of a primary that was stopped
   * in good order). So it must lie strictly before a switch point. Otherwise it is the end of the
   * WAL known here.
   */
  readonly atRecordStart: boolean;
  /** There may be WAL past `lsn`. Only crash recovery can find its end. */
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
    // A promotion writes its timeline here at once. The checkpoint, which has it as well, follows
    // later.
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
  // Only recovery can find the end of its WAL. Until then it is compared by where it begins.
  if (pg.baseBackup !== undefined)
    return { timeline: pg.baseBackup.timeline, lsn: pg.baseBackup.checkpointLsn, atRecordStart: true, open: false };
  return pg.control === null ? null : stoppedPosition(pg.control);
}

/**
 * The leader has less than this node, because it is on an earlier timeline. A leader of the later
 * timeline may have acknowledged commits there. The present leader does not know of that timeline.
 * It has its key from an operator, or from an etcd that was restored from an older backup. A
 * timeline that somebody began here by hand, as this agent saw, does not count. What a standby
 * cluster has is what the server that it follows has: an operator said so.
 */
export function leaderHasLess({ o, m }: { readonly o: Observation; readonly m: Memory }): boolean {
  const { pg, source } = o;
  if (o.settings.dynamic.standbyCluster !== null) return false;
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
  const left = leftAt(source.history, local.timeline);
  if (left === null) return 'diverged';
  // The end of a crashed primary's WAL is not known. Only a rewind, which finds it, may decide.
  if (local.open) return 'diverged';
  const within = local.atRecordStart ? local.lsn < left : local.lsn <= left;
  // If the source has removed that WAL, only the numbers are left to compare.
  return within && source.hasOurEnd !== false ? 'prefix' : 'diverged';
}

/**
 * Where a history leaves that timeline; null: it was never on it. A standby that had heard of a
 * later timeline, and had received none of its WAL, writes a history whose entries do not grow when
 * it is promoted (`1 0/50645D8`, `2 0/5015FF0`): PostgreSQL takes the timeline that recovery aimed
 * at for the parent. What it has of every earlier timeline ends where that entry says.
 */
export function leftAt(history: readonly HistoryEntry[], timeline: Timeline): Lsn | null {
  if (!history.some((entry) => entry.timeline === timeline)) return null;
  const ends = history.filter((entry) => entry.timeline >= timeline).map(({ switchLsn }) => switchLsn);
  return ends.toSorted((a, b) => (a < b ? -1 : 1))[0] ?? null;
}

/**
 * Whether the source must have the same WAL at that place. It must on its own timeline, and on an
 * earlier one up to the point where it left it.
 */
export function sharesPlace(source: Pick<SourceHistory, 'timeline' | 'history'>, timeline: Timeline, lsn: Lsn): boolean {
  if (timeline === source.timeline) return true;
  const left = leftAt(source.history, timeline);
  return left !== null && lsn < left;
}

/**
 * Compares two ends on one timeline. A source sends only what it has flushed, and was asked after
 * the position of this node was read. So a node that is further than the source has WAL of its own.
 *
 * A server that ended as a primary wrote at least a checkpoint. If somebody opened a replica for
 * writes by hand, the leader has something else at that place, also on a later timeline. Only a
 * cold copy of the leader has the same there.
 */
function compareEnds(local: Position, source: SourceHistory): Divergence {
  if (local.atRecordStart ? local.lsn >= source.lsn : local.lsn > source.lsn) return 'diverged';
  if (source.hasOurEnd === false) return 'diverged';
  return local.written === true && source.hasOurEnd === undefined ? 'unknown' : 'prefix';
}

/** The record to look for in the WAL of the source; null: this server wrote no WAL of its own. */
export function writtenEnd(pg: PostgresFacts): WalEnd | null {
  const local = pg.state === 'stopped' ? localPosition(pg) : null;
  return local?.written === true ? { timeline: local.timeline, checkpointLsn: local.lsn, open: local.open } : null;
}

/**
 * The checkpoint that a standby began its recovery with, or has replayed since, came from others:
 * unless somebody opened it for writes by hand. Then it is this node's own, and who follows this
 * node's leader has something else there.
 */
export function checkpointOf(pg: PostgresFacts): WalEnd | null {
  const at = pg.state === 'running' ? pg.sql?.checkpoint : pg.baseBackup === undefined ? pg.control : null;
  return at ? { timeline: at.timeline, checkpointLsn: at.checkpointLsn, open: false } : null;
}

/**
 * It has replayed more than its walreceiver has flushed since the start. That holds for a moment
 * after each start, and for good if it has WAL that its source lacks.
 */
function seemsAhead({ sql }: PostgresFacts): boolean {
  return sql?.receiver?.status === 'streaming' && sql.replayLsn !== null && sql.receiveLsn !== null && sql.replayLsn > sql.receiveLsn;
}

/** It streams from its source, and what it has replayed came from there as well. */
export function streamsInOrder(pg: PostgresFacts): boolean {
  return pg.sql?.receiver?.status === 'streaming' && !seemsAhead(pg);
}

/** This standby has WAL on its source's timeline that its source lacks. */
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
 * By /history, the position is past the point at which the cluster left its timeline. This takes no
 * leader to compare with, so it serves a race as well. False if /history does not tell.
 */
export function pastSwitchPoint(timeline: Timeline | null, lsn: Lsn | null, history: readonly HistoryEntry[]): boolean {
  const left = timeline === null ? null : leftAt(history, timeline);
  return left !== null && lsn !== null && lsn > left;
}

/**
 * A source in recovery may still be promoted, so it never proves that this node left its history.
 * Where it has the last records of this node, it is past them, whatever becomes of it.
 */
export function divergenceFrom(pg: PostgresFacts, source: SourceHistory | null): Divergence {
  if (source === null || (source.inRecovery && source.hasOurEnd !== true)) return 'unknown';
  const found = divergenceFromPrimary(pg, source);
  return source.inRecovery && found === 'diverged' ? 'unknown' : found;
}

/** The source has the data of another cluster. */
export const isOfOtherSystem = ({ systemIdentifier }: PostgresFacts, source: SourceHistory): boolean =>
  systemIdentifier !== null && systemIdentifier !== source.systemIdentifier;

function divergenceFromPrimary(pg: PostgresFacts, source: SourceHistory): Divergence {
  if (isOfOtherSystem(pg, source)) return 'diverged';
  const local = localPosition(pg);
  if (local === null) return 'unknown';
  return isAnotherTimeline(pg, source) || isKnownStray(pg, source) ? 'diverged' : compareHistories(local, pg.localHistory, source);
}

/**
 * This standby's WAL is a prefix of the leader's, and PostgreSQL does not follow it: it aims at a
 * timeline of somebody who led in between. It goes on to the leader's timeline only if that history
 * names the one it aims at, and rereads no history of the same number (rescanLatestTimeLine in
 * xlogrecovery.c, PostgreSQL 13 to 18). So it asks for the same WAL for ever. One later than the
 * leader's may be the leader's own by now, so there PostgreSQL must have failed for a while.
 */
export function aimsElsewhere(pg: PostgresFacts, source: SourceHistory | null): boolean {
  const aim = pg.aimsAt;
  if (aim === undefined || source === null || source.inRecovery || divergenceFrom(pg, source) !== 'prefix') return false;
  if (aim.timeline > source.timeline) return pg.sourceTrouble !== undefined;
  if (aim.timeline < source.timeline) return !source.history.some(({ timeline }) => timeline === aim.timeline);
  return historiesBelow(aim.history, aim.timeline) !== historiesBelow(source.history, aim.timeline);
}

/**
 * Where this node's timeline begins, by its history file; null: it is on timeline 1, or that is not
 * known.
 */
export function timelineStart(pg: PostgresFacts): TimelineStart | null {
  const timeline = localPosition(pg)?.timeline ?? null;
  const parent = timeline === null ? undefined : pg.localHistory.filter((entry) => entry.timeline < timeline).at(-1);
  return timeline === null || parent === undefined ? null : { timeline, from: parent.switchLsn };
}

/** This node's timeline has the number of one of the source's, and was begun on its own. */
export function isTwinOf(pg: PostgresFacts, source: SourceHistory): boolean {
  const timeline = localPosition(pg)?.timeline;
  if (timeline === undefined || timeline > source.timeline) return false;
  return isAnotherTimeline(pg, source) || historiesBelow(pg.localHistory, timeline) !== historiesBelow(source.history, timeline);
}

function isAnotherTimeline(pg: PostgresFacts, source: SourceHistory): boolean {
  return (
    pg.timelineFingerprint !== undefined &&
    source.timelineFingerprint !== undefined &&
    pg.timelineFingerprint !== source.timelineFingerprint
  );
}

/**
 * An earlier leader had other WAL than this node, as its mark says. This source no longer has that
 * WAL, so only numbers are left to compare, and they were equal then as well.
 */
function isKnownStray(pg: PostgresFacts, source: SourceHistory): boolean {
  if (pg.strayed !== true || source.hasOurEnd !== undefined) return false;
  const local = localPosition(pg);
  return local?.written === true && local.timeline < source.timeline;
}

/**
 * Two nodes have timelines of one number, each begun on its own. pg_rewind compares only numbers
 * and histories (findCommonAncestorTimeline in pg_rewind.c, PostgreSQL 13 to 18), so it does not
 * see that. On the source's present timeline it says "no rewind required", ends with 0 and changes
 * nothing. On a former one it takes WAL for common that is not. The same happens with what a node
 * wrote before the point where the source left that timeline. Such a node has to be cloned.
 */
export function rewindIsBlind(pg: PostgresFacts, source: SourceHistory | null): boolean {
  const local = localPosition(pg);
  if (local === null || source === null) return false;
  if (local.timeline === source.timeline || source.hasOurEnd === false) return true;
  // It goes by the entry of that timeline alone.
  const entry = source.history.find(({ timeline }) => timeline === local.timeline);
  if (entry !== undefined && leftAt(source.history, local.timeline) !== entry.switchLsn) return true;
  return isAnotherTimeline(pg, source) || isKnownStray(pg, source);
}
