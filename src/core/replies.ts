/**
 * When the connected standbys were last heard. A walsender whose standby was cut off is still
 * 'streaming' until wal_sender_timeout. Once the network is back, the first WAL it sends may have
 * to wait for TCP's next try. That takes as long again as the cut lasted.
 *
 * reply_time is the standby's clock. So no two clocks are compared. What counts is when this agent
 * saw the time change, and an agent that has just started counts every standby as heard.
 */
import type { PostgresFacts, WalsenderFacts } from './postgres-facts.ts';
import type { Settings } from './settings.ts';

/** By pid of the walsender. */
export type Replies = Readonly<Record<number, Heard>>;

interface Heard {
  readonly replyTime: string | null;
  /** Clock.bootMs when this walsender was first seen. */
  readonly sinceMs: number;
  /** Clock.bootMs when this reply was first seen. */
  readonly seenAtMs: number;
  /**
   * Clock.bootMs when WAL was first seen that this reply does not confirm; null: it confirmed all
   * there was.
   */
  readonly owesSinceMs: number | null;
}

/** The parts of an observation that tell when a standby was heard. */
interface Look {
  readonly nowMs: number;
  readonly pg: Pick<PostgresFacts, 'sql'>;
  readonly settings: Pick<Settings, 'parameters' | 'byRole'>;
}

/**
 * An idle standby replies every wal_receiver_status_interval, 10 s by default. Looks that are
 * further apart than that see a new reply each time.
 */
const IDLE_MS = 15_000;
/** One that is sent WAL replies as soon as it has it on disk. */
const OWING_MS = 3000;

export function heardReplies(o: Look, before: Replies): Replies {
  const { sql } = o.pg;
  if (sql === null) return before;
  const heard: Record<number, Heard> = {};
  for (const { pid, replyTime, flushLsn } of sql.replication) {
    const old = before[pid]?.replyTime === replyTime ? before[pid] : undefined;
    const owes = sql.flushLsn !== null && (flushLsn === null || flushLsn < sql.flushLsn);
    heard[pid] = {
      replyTime,
      sinceMs: before[pid]?.sinceMs ?? o.nowMs,
      seenAtMs: old?.seenAtMs ?? o.nowMs,
      owesSinceMs: old?.owesSinceMs ?? (owes ? o.nowMs : null),
    };
  }
  return heard;
}

/** Nothing has come from this standby for longer than a living one stays quiet. */
export function isSilent(o: Pick<Look, 'nowMs' | 'settings'>, replies: Replies, sender: WalsenderFacts): boolean {
  const heard = replies[sender.pid];
  if (heard === undefined) return false;
  if (heard.owesSinceMs !== null && o.nowMs - heard.owesSinceMs > OWING_MS) return true;
  // Where it was told another interval, an idle one may be quiet for longer.
  return (
    o.nowMs - heard.seenAtMs > IDLE_MS &&
    (o.settings.byRole?.replica ?? o.settings).parameters['wal_receiver_status_interval'] === undefined
  );
}
