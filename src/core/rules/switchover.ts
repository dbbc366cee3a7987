/** An operator's request for a switchover or failover, as the present leader deals with it. */
import type { FailoverKey } from '../cluster.ts';
import type { Context } from '../context.ts';
import { type DrawnTable, onlyAnswer, type Row } from '../decision-table.ts';
import { holdOffMs } from '../hold-off.ts';
import { possibleSuccessors, unfit, votesLacking } from '../race/successors.ts';
import { strays } from '../strays.ts';
import { syncStep } from '../sync.ts';
import type { Outcome } from './table.ts';

/** A schedule this much in the past was missed, not meant. */
const STALE_AFTER_LOOPS = 1.5;
const SETTLING_WAKE_MS = 100;

interface SwitchoverFacts {
  readonly c: Context;
  readonly request: FailoverKey;
  readonly action: 'failover' | 'switchover';
  /** Until the scheduled moment; null: the request has no schedule. */
  readonly dueInMs: number | null;
  readonly successors: readonly string[];
}

type SwitchoverVerdict = 'wait for the end of the pause' | 'wait for its time' | 'wait a moment' | 'drop the request' | 'hand over';

export const switchoverRows: readonly Row<SwitchoverFacts, SwitchoverVerdict>[] = [
  {
    id: 'switchover.paused',
    situation: 'it is scheduled, and the cluster is paused',
    when: ({ c, dueInMs }) => dueInMs !== null && c.paused,
    verdict: 'wait for the end of the pause',
    because: () => 'a scheduled switchover waits for the end of the pause',
  },
  {
    id: 'switchover.scheduled',
    situation: 'its scheduled moment is still to come',
    when: ({ dueInMs }) => dueInMs !== null && dueInMs > 0,
    verdict: 'wait for its time',
    because: ({ c }) => `no action. I am (${c.me}), the leader with the lock`,
  },
  {
    id: 'switchover.missed',
    situation: 'its scheduled moment is longer past than one and a half loop_wait',
    when: ({ c, dueInMs }) => dueInMs !== null && dueInMs < -STALE_AFTER_LOOPS * c.o.settings.dynamic.loopWaitSeconds * 1000,
    verdict: 'drop the request',
    because: () => 'the scheduled switchover was missed and is dropped',
  },
  {
    id: 'switchover.other-leader',
    situation: 'it names another leader',
    when: ({ c, request }) => request.leader !== null && request.leader !== c.me,
    verdict: 'drop the request',
    because: ({ c, request }) => `the switchover away from ${request.leader} is done or no longer applies: ${c.me} leads`,
  },
  {
    id: 'switchover.leads-already',
    situation: 'it names this node as candidate',
    when: ({ c, request }) => request.candidate === c.me,
    verdict: 'drop the request',
    because: ({ c }) => `${c.me} leads already`,
  },
  {
    id: 'switchover.locked-out',
    situation: 'PostgreSQL does not let the agent in: what stops here would come up as a member that its agent cannot see',
    when: ({ c }) => c.o.pg.lockedOut !== undefined,
    verdict: 'drop the request',
    because: ({ c, action }) => `${action} is not possible: the agent is locked out of ${c.me}: ${c.o.pg.lockedOut}`,
  },
  {
    id: 'switchover.failed',
    situation: 'the handover has just failed',
    when: ({ c }) => holdOffMs(c, 'handover') > 0,
    verdict: 'drop the request',
    because: ({ c, action }) => `${action} failed: ${c.m.failures.handover?.message ?? ''}`,
  },
  {
    id: 'switchover.successors-locked-out',
    situation: 'no member that could take over lets its agent in',
    when: (f) => f.successors.length > 0 && lockedOut(f).length === f.successors.length,
    verdict: 'drop the request',
    because: (f) =>
      `${f.action} is not possible: ${lockedOut(f)
        .map(({ name, reason }) => `${name} cannot be logged in to: ${reason}`)
        .join('; ')}`,
  },
  {
    id: 'switchover.settling',
    situation: 'no member can take over, and the synchronous set has been changing for less than 3 s',
    when: ({ c, successors }) => successors.length === 0 && isSettling(c),
    verdict: 'wait a moment',
    because: ({ c, action }) => `${action} waits for a moment: ${syncStep(c).because}`,
  },
  {
    id: 'switchover.candidate-unfit',
    situation: 'the candidate cannot take over',
    when: ({ request, successors }) => successors.length === 0 && request.candidate !== null,
    verdict: 'drop the request',
    because: (f) => {
      const candidate = f.request.candidate ?? '';
      return `${f.action} is not possible: ${candidate} ${whyNot(f, candidate) ?? 'is not a synchronous standby'}`;
    },
  },
  {
    id: 'switchover.no-successor',
    situation: 'no member can take over, or too few synchronous standbys',
    when: ({ successors }) => successors.length === 0,
    verdict: 'drop the request',
    because: (f) =>
      `${f.action} is not possible: no member can take over, or too few synchronous standbys${everyReason(f)}${lackingVotes(f)}`,
  },
  {
    id: 'switchover.hand-over',
    situation: 'otherwise',
    when: () => true,
    verdict: 'hand over',
    because: ({ action }) => (action === 'failover' ? 'manual failover: demoting myself' : 'switchover: demoting myself'),
  },
];

export const switchoverTable: DrawnTable = {
  title: 'A request for a switchover or failover, at the leader',
  situation:
    'this node leads, and an operator asked for a switchover or failover (rules `leader.switchover`, `paused.switchover`, `standby-leader.switchover`)',
  rows: switchoverRows,
};

export function switchoverAway(c: Context): Outcome {
  const f = factsOf(c);
  if (f === null) return {};
  const answer = onlyAnswer(switchoverRows, f);
  const { request, action } = f;
  const said = { rule: answer.id, because: answer.because };
  switch (answer.verdict) {
    case 'drop the request':
      return { ...said, effects: [{ kind: 'clear-failover', expected: request }] };
    case 'hand over':
      // Nothing has to be brought to an end: what this node has, others have or get from outside.
      if (c.followsRemote && c.isStandby) return { ...said, effects: [{ kind: 'release-leader', optime: null }], watchMembers: true };
      return { ...said, effects: [{ kind: 'start-job', job: { kind: 'handover', action, candidate: request.candidate } }] };
    case 'wait for its time':
      return f.dueInMs === null ? said : { ...said, wakeInMs: f.dueInMs };
    case 'wait a moment':
      return { ...said, wakeInMs: SETTLING_WAKE_MS };
    case 'wait for the end of the pause':
      return said;
  }
}

function factsOf(c: Context): SwitchoverFacts | null {
  const request = c.view?.failover;
  if (!request || c.view === null) return null;
  const action = request.leader === null ? 'failover' : 'switchover';
  return {
    c,
    request,
    action,
    dueInMs: request.scheduledAtMs === null ? null : request.scheduledAtMs - c.o.wallMs,
    successors: possibleSuccessors(c, c.view, { only: request.candidate, manual: action === 'failover' }),
  };
}

function lockedOut({ c, successors }: SwitchoverFacts): { readonly name: string; readonly reason: string }[] {
  return successors.flatMap((name) => {
    const reason = c.o.peers?.get(name)?.lockedOut;
    return reason === undefined ? [] : [{ name, reason }];
  });
}

/** Why this member cannot take over, to go behind its name; null: only that it is not in /sync. */
function whyNot({ c }: SwitchoverFacts, name: string): string | null {
  const { view } = c;
  if (view === null || !view.members.some((member) => member.name === name)) return 'is not a member of this cluster';
  const reason = unfit(c.o.peers?.get(name), view, c.o.settings.dynamic)?.because;
  return reason ?? (strays(c, name) ? 'has WAL that this leader does not have' : null);
}

function everyReason(f: SwitchoverFacts): string {
  const others = (f.c.view?.members ?? []).map(({ name }) => name).filter((name) => name !== f.c.me);
  const told = others.flatMap((name) => {
    const reason = whyNot(f, name);
    return reason === null ? [] : [`${name} ${reason}`];
  });
  return told.length === 0 ? '' : `: ${told.join('; ')}`;
}

function lackingVotes({ c }: SwitchoverFacts): string {
  const needed = c.view === null ? null : votesLacking(c, c.view);
  return needed === null ? '' : `; Quorum requirement ${needed} can not be reached`;
}

/**
 * A standby that streams catches up in less. A slower one must not keep the operator waiting, and
 * the switchover must not begin when the operator no longer expects it.
 */
const SETTLING_MS = 3000;

/**
 * The synchronous set is being changed. Until the new one holds, /sync asks for more votes than the
 * switchover will need.
 */
function isSettling(c: Context): boolean {
  const set = c.m.syncNamesSet;
  if (c.o.settings.dynamic.synchronousMode === 'off' || set === null || c.o.nowMs - set.atMs >= SETTLING_MS) return false;
  const { effects, waiting } = syncStep(c);
  return effects.length > 0 || waiting;
}
