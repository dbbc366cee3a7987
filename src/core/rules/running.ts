/** PostgreSQL runs and answers. */
import { isLeftBehind, raceVerdict, supersededBy, wishInVain } from '../candidates.ts';
import { type Chore, choreHoldOffMs } from '../chores.ts';
import { clusterTimeline, mayLead } from '../cluster.ts';
import { type Context, isUnprotected, readyLeader, sourceOf, unlockedMs, wantedSource } from '../context.ts';
import { divergenceFrom, isAhead, leaderHasLess } from '../divergence.ts';
import type { Effect } from '../effects.ts';
import { inheritedVerdict } from '../inherited-key.ts';
import { describeWalGone } from '../postgres-facts.ts';
import { takeover } from '../sync.ts';
import { countsVotes, syncVoters } from '../voters.ts';
import { leaderHasLessText, withInheritedKey } from './lesser-leader.ts';
import { mendDivergence } from './mend.ts';
import type { Outcome, Rule } from './table.ts';
import { nothing, promotionFailed } from './table.ts';

/** How often a node that may not lead yet looks at the others again. */
const RACE_INTERVAL_MS = 300;
/**
 * What was expected within milliseconds and has not come by then is not looked for every few of
 * them any more.
 */
const SOON_MS = 3000;
/** Every round asks the source, which may log that. */
const IN_VAIN_MS = 3000;
/** What a walreceiver takes to end (measured: 4 to 7 ms), with room for a busy machine. */
const LET_GO_MS = 30;

export const primaryRules: readonly Rule[] = [
  {
    id: 'primary.watchdog',
    situation: 'this primary leads, and the watchdog it must have cannot be used',
    when: (c) => c.isPrimary && c.lockMine && c.o.watchdog.required && !c.o.watchdog.active && !c.o.watchdog.healthy,
    ask: () => ({
      effects: [
        { kind: 'demote-now', mode: 'immediate' },
        { kind: 'release-leader', optime: null },
      ],
    }),
    because: 'Demoting self because watchdog could not be activated',
  },
  {
    id: 'primary.leader',
    situation: 'this primary leads',
    when: (c) => c.isPrimary && c.lockMine,
    ask: () => nothing,
    because: 'no action. I am ({me}), the leader with the lock',
  },
  {
    id: 'primary.not-allowed',
    situation: 'a primary runs here without the leader key, and the node may not lead',
    when: (c) => c.isPrimary && c.unlocked && !mayLead(c.o.settings.local.tags),
    ask: () => ({ effects: [{ kind: 'demote-now', mode: 'immediate' }] }),
    because: 'demoting self because I am not allowed to become primary',
  },
  {
    id: 'primary.outdated',
    situation:
      'a primary runs here without the leader key, and the cluster has moved on (a later timeline, another leader in /sync), or another primary is alive',
    when: (c) => c.isPrimary && c.unlocked && (isOutdated(c) || supersededBy(c) !== null || anotherPrimary(c) !== null),
    ask: (c) => ({
      effects: [{ kind: 'demote-now', mode: 'immediate' }],
      because: `demoting self because i am not the healthiest node: ${movedOn(c)}`,
    }),
    because: 'demoting self because i am not the healthiest node',
  },
  {
    id: 'primary.not-acquired',
    situation: 'a primary runs here without the leader key, which could not be taken for too long: its guard does not protect it',
    when: (c) => c.isPrimary && c.unlocked && isUnprotected(c),
    ask: () => ({ effects: [{ kind: 'demote-now', mode: 'fast' }] }),
    because: 'demoting self because the leader key could not be taken: etcd takes no writes, or no lease is to be had',
  },
  {
    id: 'primary.acquire',
    situation: 'a primary runs here and nobody holds the leader key',
    when: (c) => c.isPrimary && c.unlocked,
    ask: (c) => ({ effects: [{ kind: 'acquire-leader', withinMs: unlockedMs(c) }], wakeInMs: 0 }),
    because: 'acquired session lock as a leader',
  },
];

function isOutdated(c: Context): boolean {
  const expected = c.view === null ? null : clusterTimeline(c.view);
  const own = c.o.pg.sql?.timeline ?? null;
  return expected !== null && own !== null && own < expected;
}

function anotherPrimary(c: Context): string | null {
  return [...(c.o.peers?.values() ?? [])].find((peer) => !peer.inRecovery && peer.state === 'running')?.name ?? null;
}

function movedOn(c: Context): string {
  if (isOutdated(c))
    return `the cluster is on timeline ${c.view === null ? null : clusterTimeline(c.view)}, this node on ${c.o.pg.sql?.timeline}`;
  const [former, other] = [supersededBy(c), anotherPrimary(c)];
  return former === null ? `${other} is a primary too` : `by /sync ${former} has led since`;
}

/** An operator's failover to this node by name: it is tried, whatever speaks against it. */
export function isForced({ view, me }: Context): boolean {
  return view?.failover?.leader === null && view.failover.candidate === me;
}

function divergedFromLeader(c: Context): boolean {
  if (streams(c) && !isAhead(c.o.pg, c.o.source)) return false;
  return divergenceFrom(c.o.pg, c.o.source) === 'diverged';
}

/** The WAL receiver is connected, to the right place. */
function streams(c: Context): boolean {
  return c.o.pg.sql?.receiver?.status === 'streaming';
}

export const standbyRules: readonly Rule[] = [
  {
    id: 'standby.promotion-failed',
    situation: 'this standby leads, and its promotion failed',
    when: (c) => c.isStandby && c.lockMine && promotionFailed(c),
    ask: () => ({ effects: [{ kind: 'release-leader', optime: null }], watchMembers: true }),
    because: 'Promotion cancelled because the pre-promote script failed, or promotion did not succeed: releasing the leader key',
  },
  {
    id: 'standby.cannot-promote',
    situation: 'this standby leads, its disk does not let it be promoted, and no operator’s failover names it',
    when: (c) => c.isStandby && c.lockMine && !c.paused && c.o.pg.promotionTrouble !== undefined && !isForced(c),
    ask: (c) => ({
      effects: [{ kind: 'release-leader', optime: null }],
      watchMembers: true,
      because: `releasing the leader key: this node cannot be promoted: ${c.o.pg.promotionTrouble}`,
    }),
    because: 'releasing the leader key: this node cannot be promoted',
  },
  {
    id: 'standby.watchdog',
    situation: 'this standby leads, and the watchdog it must have cannot be used',
    when: (c) => c.isStandby && c.lockMine && c.o.watchdog.required && !c.o.watchdog.healthy,
    ask: () => ({ effects: [{ kind: 'release-leader', optime: null }] }),
    because: 'Not promoting self because watchdog could not be activated',
  },
  {
    id: 'standby.key-from-before',
    situation: 'this standby holds a leader key that this process did not take, and somebody is further, or has not answered yet',
    when: (c) => c.isStandby && c.lockMine && inheritedVerdict(c).kind !== 'lead',
    ask: withInheritedKey,
    because: 'not promoting by a leader key from before',
  },
  {
    id: 'standby.replay-paused',
    situation: 'this standby leads, and its replay is paused',
    when: (c) => c.isStandby && c.lockMine && c.mayLeadNow && c.o.pg.sql?.replayPaused === true && !c.paused,
    ask: () => ({ effects: [{ kind: 'resume-replay' }], wakeInMs: 50 }),
    because: 'resuming WAL replay before the promotion',
  },
  {
    id: 'standby.promote',
    situation: 'this standby leads',
    when: (c) => c.isStandby && c.lockMine && c.mayLeadNow,
    ask: (c) => {
      const { names, effect } = takeover(c);
      const wish = wishInVain(c);
      const dropped: readonly Effect[] = wish === null ? [] : [{ kind: 'clear-failover', expected: wish }];
      return { effects: [...dropped, ...(effect ? [effect] : []), { kind: 'start-job', job: { kind: 'promote', syncNames: names } }] };
    },
    because: 'promoted self to leader by acquiring session lock',
  },
  {
    id: 'standby.leader-has-less',
    situation: 'this standby is on a later timeline than the leader',
    when: (c) => c.isStandby && c.otherLeader !== null && !c.paused && !streams(c) && leaderHasLess(c),
    ask: (c) => ({ wakeInMs: 5000, watchMembers: true, because: leaderHasLessText(c) }),
    because: 'not rewinding: the leader {leader} has less than this node',
  },
  {
    id: 'standby.diverged',
    situation: 'this standby does not stream, or is ahead of the leader, and its WAL is not a prefix of the leader’s',
    when: (c) => c.isStandby && c.otherLeader !== null && !c.paused && divergedFromLeader(c),
    ask: (c) => {
      const leader = readyLeader(c);
      const source = leader === null ? null : sourceOf(leader);
      if (source === null) return { watchMembers: true };
      const outcome = mendDivergence(c, source);
      // While nothing mends it, it is not to answer readers with rows that the cluster does not
      // have.
      return { ...outcome, effects: outcome.effects ?? [{ kind: 'demote-now', mode: 'fast' }] };
    },
    because: 'running pg_rewind',
  },
  {
    id: 'standby.wal-gone',
    situation: 'this standby has a leader to follow, and the WAL that it needs is gone there',
    when: (c) => c.isStandby && c.otherLeader !== null && c.o.pg.walGone === true,
    ask: () => ({ wakeInMs: IN_VAIN_MS, watchMembers: true }),
    because: describeWalGone({ scope: '{scope}', name: '{me}' }),
  },
  {
    id: 'standby.follow',
    situation: 'this standby has a leader to follow',
    when: (c) => c.isStandby && c.otherLeader !== null,
    ask: follow,
    because: 'no action. I am ({me}), a secondary, and following a leader ({leader})',
  },
  {
    id: 'standby.race',
    situation: 'this standby has no leader',
    when: (c) => c.isStandby && c.unlocked,
    ask: (c) => {
      const verdict = raceVerdict(c);
      if (verdict.win) return { effects: [{ kind: 'acquire-leader' }], wakeInMs: 0, because: `taking the leader key: ${verdict.because}` };
      const chores = [...letGo(c), ...resumed(c)];
      const lettingGo = chores.length > 0 && choreHoldOffMs(c.m.chores, 'let-go', c.o) === 0;
      const fresh = c.m.leaderlessSinceMs === null || c.o.nowMs - c.m.leaderlessSinceMs < SOON_MS;
      const wakeInMs = fresh && (lettingGo || verdict.soon) ? LET_GO_MS : RACE_INTERVAL_MS;
      return { chores, wakeInMs, watchMembers: true, because: `not taking the leader key: ${verdict.because}` };
    },
    because: 'following a different leader because i am not the healthiest node',
  },
  {
    id: 'standby.wait',
    situation: 'this standby holds the leader key, on a lease that is not confirmed',
    when: (c) => c.isStandby,
    ask: () => ({ wakeInMs: 200 }),
    because: 'not promoting because failed to update leader lock in DCS',
  },
];

/**
 * Whoever confirms commits lets go of the former primary before others count on its position:
 * should that one still run (its agent and its guard both hang), it must not be told of one more
 * commit that the next primary does not have. And whoever is on a timeline that the cluster has
 * left is to get no more of it.
 */
export function letGo(c: Context): readonly Chore[] {
  const confirms = c.view !== null && syncVoters(c.view, c.o.settings.dynamic.synchronousMode) !== null;
  const quorum = c.view !== null && countsVotes(c.view, c.o.settings.dynamic.synchronousMode);
  if (!(quorum && confirms) && !isLeftBehind(c)) return [];
  if ((c.o.pg.sql?.primaryConninfo ?? '') === '') return [];
  return [{ kind: 'let-go', effects: [{ kind: 'apply-config', role: { kind: 'standby', source: null }, only: 'role' }] }];
}

/**
 * Others have had their turn by then, and whoever paused one of several standbys finds it as it
 * was.
 */
const PAUSED_FOR_MS = 500;

/**
 * A standby whose replay is paused does not let go of the former primary, and what it has not
 * replayed is not known to be whole. So a candidate goes on with it. Where PostgreSQL paused it
 * because a limit is lower than the primary's was, it ends instead, and is started with the limits
 * that its control file then asks for.
 */
function resumed(c: Context): readonly Chore[] {
  const since = c.m.leaderlessSinceMs;
  if (c.o.pg.sql?.replayPaused !== true || since === null || c.o.nowMs - since < PAUSED_FOR_MS) return [];
  return mayLead(c.o.settings.local.tags) ? [{ kind: 'replay', effects: [{ kind: 'resume-replay' }] }] : [];
}

function follow(c: Context): Outcome {
  // Soon again until the new leader's timeline has arrived, so that nobody is shown the old one for
  // a whole round.
  const waiting = wantedSource(c) !== null && (!streams(c) || isOutdated(c));
  return waiting ? { wakeInMs: c.o.pg.retriesInVain ? IN_VAIN_MS : 500, watchMembers: true } : nothing;
}
