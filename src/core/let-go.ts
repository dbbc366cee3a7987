/**
 * Letting go of the former primary: from then on this standby confirms nothing to it any more, and
 * its position is final.
 */
import type { Chore } from './chores.ts';
import { mayLead } from './cluster.ts';
import { type Context, hasLeader, isLeftBehind } from './context.ts';
import type { Effect } from './effects.ts';
import { standsBy } from './failsafe.ts';
import { isBound } from './quorum/vouching.ts';
import { countsVotes, syncVoters } from './voters.ts';

/**
 * PostgreSQL tries to connect again every wal_retrieve_retry_interval (5 s by default). By then it
 * has tried, and no server let it in.
 */
const TRIED_IN_VAIN_MS = 6000;
/** If the file that says so can be written, it is in force by then. */
const BY_FILE_MS = 1500;

/**
 * When the file that would say so cannot be written or has no effect, the former primary counts as
 * let go once it is gone. That takes two things. etcd says that no node leads: the lease is over,
 * and with it the time in which the guard had to stop that primary. And this standby has had no
 * walreceiver for longer than PostgreSQL waits before it connects again. A full disk confirms
 * nothing meanwhile either. It is no promise. If a primary that nothing could stop lets it in
 * later, and the file still cannot be written, it may confirm again.
 */
export function isLetGo(c: Context | null): boolean {
  if (c === null || !c.unlocked || isBound(c) || standsBy(c) !== null || c.o.pg.sql === null || c.o.pg.sql.receiver !== null) return false;
  const { receiverGoneSinceMs, leaderlessSinceMs } = c.m;
  if (receiverGoneSinceMs === null || leaderlessSinceMs === null) return false;
  return c.o.nowMs - receiverGoneSinceMs >= TRIED_IN_VAIN_MS && c.o.nowMs - leaderlessSinceMs >= BY_FILE_MS;
}

/**
 * A standby that confirms commits lets go of the former primary before others count on its
 * position. The former primary may still run, because its agent and its guard both hang. No commit
 * that the next primary lacks may be confirmed to it. A standby on a timeline that the cluster has
 * left lets go as well, so that it gets no more of that timeline.
 */
export function letGo(c: Context): readonly Chore[] {
  const confirms = c.view !== null && syncVoters(c.view, c.o.settings.dynamic.synchronousMode) !== null;
  const quorum = c.view !== null && countsVotes(c.view, c.o.settings.dynamic.synchronousMode);
  // What this node has vouched for, a vote would break; and letting go is a vote.
  if (confirms && isBound(c)) return [];
  if (confirms && standsBy(c) !== null) return [];
  if (!(quorum && confirms) && !isLeftBehind(c)) return [];
  if ((c.o.pg.sql?.primaryConninfo ?? '') === '') return [];
  return [{ kind: 'let-go', effects: [{ kind: 'apply-config', role: { kind: 'standby', source: null }, only: 'role' }] }];
}

/**
 * By then the other candidates have had their turn. An operator who paused replay on one of several
 * standbys finds it still paused if another led.
 */
const PAUSED_FOR_MS = 500;

/**
 * A standby whose replay is paused does not let go of the former primary, and the WAL it has not
 * replayed may be damaged. So a candidate resumes replay. If PostgreSQL paused it because a limit
 * is lower than the primary's was, PostgreSQL ends instead. It is then started with the limits that
 * its control file asks for.
 */
export function resumeReplay(c: Context): readonly Chore[] {
  const since = c.m.leaderlessSinceMs;
  if (c.o.pg.sql?.replayPaused !== true || since === null || c.o.nowMs - since < PAUSED_FOR_MS) return [];
  return mayLead(c.o.settings.local.tags) ? [{ kind: 'replay', effects: [{ kind: 'resume-replay' }] }] : [];
}

/**
 * A standby that PostgreSQL has paused for a limit replays nothing more until it is started with
 * what the primary has. PostgreSQL ends once replay is resumed, and the start takes those limits
 * over from the control file.
 */
export function resumeForLimits(c: Context): Effect | null {
  const waits = c.o.pg.sql?.pausedByLimits === true && hasLeader(c) && !c.paused;
  return waits ? { kind: 'resume-replay' } : null;
}
