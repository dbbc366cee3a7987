/** The operator's wish in `failover`, as the present leader deals with it. */
import { possibleSuccessors, unfit } from '../candidates.ts';
import type { Context } from '../context.ts';
import type { Outcome, Rule } from './table.ts';
import { holdOffMs } from './table.ts';

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
    const { candidate } = wish;
    if (candidate === null) return drop(`${action} is not possible: no member can take over, or too few synchronous standbys`);
    const reason = unfit(c.o.peers?.get(candidate), c.view, c.o.settings.dynamic) ?? 'is not a synchronous standby';
    return drop(`${action} is not possible: ${candidate} ${reason}`);
  }
  return {
    effects: [{ kind: 'start-job', job: { kind: 'handover', action, candidate: wish.candidate } }],
    because: action === 'failover' ? 'manual failover: demoting myself' : 'switchover: demoting myself',
  };
}

export const switchoverRules: readonly Rule[] = [
  {
    id: 'leader.switchover',
    situation: 'this primary leads, and the operator asked for a switchover or failover',
    when: (c) => c.isPrimary && c.lockMine && c.mayLeadNow && c.view?.failover != null,
    ask: switchoverAway,
    because: 'switchover: demoting myself',
  },
];
