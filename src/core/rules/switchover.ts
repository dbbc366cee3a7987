/** The operator's wish in `failover`, as the present leader deals with it. */
import { possibleSuccessors, unfit } from '../candidates.ts';
import type { Context } from '../context.ts';
import { holdOffMs } from '../hold-off.ts';
import { strays } from '../strays.ts';
import { syncStep } from '../sync.ts';
import type { Outcome } from './table.ts';

/** A schedule this much in the past was missed, not meant. */
const STALE_AFTER_LOOPS = 1.5;

export function switchoverAway(c: Context): Outcome {
  const wish = c.view?.failover;
  if (!wish || c.view === null) return {};
  const drop = (because: string): Outcome => ({ effects: [{ kind: 'clear-failover', expected: wish }], because });
  if (wish.scheduledAtMs !== null) {
    if (c.paused) return { because: 'a scheduled switchover waits for the end of the pause' };
    const deltaMs = wish.scheduledAtMs - c.o.wallMs;
    if (deltaMs > 0) {
      const because = `no action. I am (${c.me}), the leader with the lock; awaiting switchover at ${wish.scheduledAt} (in ${Math.round(deltaMs / 1000)} seconds)`;
      return { wakeInMs: deltaMs, because };
    }
    if (deltaMs < -STALE_AFTER_LOOPS * c.o.settings.dynamic.loopWaitSeconds * 1000)
      return drop('the scheduled switchover was missed and is dropped');
  }
  if (wish.leader !== null && wish.leader !== c.me)
    return drop(`the switchover away from ${wish.leader} is done or no longer applies: ${c.me} leads`);
  if (wish.candidate === c.me) return drop(`${c.me} leads already`);
  const action = wish.leader === null ? 'failover' : 'switchover';
  const { lockedOut } = c.o.pg;
  // What is stopped here would come up as a member that its agent cannot see.
  if (lockedOut !== undefined) return drop(`${action} is not possible: the agent is locked out of ${c.me}: ${lockedOut}`);
  if (holdOffMs(c, 'handover') > 0) return drop(`${action} failed: ${c.m.failures.handover?.message ?? ''}`);
  const successors = possibleSuccessors(c, c.view, { only: wish.candidate, manual: action === 'failover' });
  const blocked = successors.map((name) => c.o.peers?.get(name)).filter((peer) => peer?.lockedOut !== undefined);
  if (blocked.length > 0 && blocked.length === successors.length)
    return drop(
      `${action} is not possible: ${blocked.map((peer) => `${peer!.name} cannot be logged in to: ${peer!.lockedOut}`).join('; ')}`,
    );
  if (successors.length === 0) {
    if (isSettling(c)) return { wakeInMs: 100, because: `${action} waits for a moment: ${syncStep(c).because}` };
    const { candidate } = wish;
    const isMember = (name: string) => c.view!.members.some((member) => member.name === name);
    const reasonOf = (name: string) =>
      !isMember(name)
        ? 'is not a member of this cluster'
        : (unfit(c.o.peers?.get(name), c.view!, c.o.settings.dynamic) ?? otherwiseUnfit(c, name));
    if (candidate !== null) return drop(`${action} is not possible: ${candidate} ${reasonOf(candidate) ?? 'is not a synchronous standby'}`);
    const reasons = c.view.members.filter(({ name }) => name !== c.me).map(({ name }) => ({ name, reason: reasonOf(name) }));
    const told = reasons.flatMap(({ name, reason }) => (reason === null ? [] : [`${name} ${reason}`]));
    const why = told.length === 0 ? '' : `: ${told.join('; ')}`;
    return drop(`${action} is not possible: no member can take over, or too few synchronous standbys${why}`);
  }
  return {
    effects: [{ kind: 'start-job', job: { kind: 'handover', action, candidate: wish.candidate } }],
    because: action === 'failover' ? 'manual failover: demoting myself' : 'switchover: demoting myself',
  };
}

/**
 * Longer than a standby takes to catch up that streams; who takes longer is no reason to keep the
 * operator waiting, nor to begin when he no longer expects it.
 */
const SETTLING_MS = 3000;

/**
 * The synchronous set is being changed: until the new one holds everything /sync asks for more
 * votes than there will be need for.
 */
function isSettling(c: Context): boolean {
  const set = c.m.syncNamesSet;
  if (c.o.settings.dynamic.synchronousMode === 'off' || set === null || c.o.nowMs - set.atMs >= SETTLING_MS) return false;
  const { effects, waiting } = syncStep(c);
  return effects.length > 0 || waiting;
}

/** What only this leader sees of a member. */
const otherwiseUnfit = (c: Context, name: string) => (strays(c, name) ? 'has WAL that this leader does not have' : null);
