/** PostgreSQL runs as a standby and answers. */
import { choreHoldOffMs } from '../chores.ts';
import { type Context, wantedSource } from '../context.ts';
import { divergenceFrom, isAhead, leaderHasLess } from '../divergence.ts';
import type { Effect } from '../effects.ts';
import { mayStillPromote, promotionFailed } from '../failed-promotions.ts';
import { standsBy } from '../failsafe.ts';
import { inheritedVerdict } from '../inherited-key.ts';
import { letGo, resumeReplay } from '../let-go.ts';
import { describeWalGone } from '../postgres-facts.ts';
import { fenceFor } from '../quorum/fence-mark.ts';
import { refusalVerdict } from '../quorum/refusal.ts';
import { takeOverVerdict } from '../quorum/take-over.ts';
import { requestInVain } from '../race/operator-request.ts';
import { leavesKey, raceVerdict } from '../race/race.ts';
import { copyJob, lookOut } from '../slots/copies.ts';
import { awaitsComparison } from '../strays.ts';
import { isOutdated } from '../superseded.ts';
import { takeover } from '../sync.ts';
import { leaderHasLessText, withInheritedKey } from './lesser-leader.ts';
import { keepsElsewhere, mendDivergence, retarget } from './mend.ts';
import { always, nothing, type Outcome, type Section } from './table.ts';

/** How often a node that may not lead yet looks at the others again. */
const RACE_INTERVAL_MS = 300;
/**
 * What was expected within milliseconds and has not happened by then is looked for less often from
 * then on.
 */
const SOON_MS = 3000;
/** Every round asks the source, which may log that. */
const IN_VAIN_MS = 3000;
/** What a walreceiver takes to end (measured: 4 to 7 ms), with room for a busy machine. */
const LET_GO_MS = 30;
/** Another voter promises within a few milliseconds, once it misses the leader too. */
const MOMENT_MS = 15;

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

export const standby: Section = {
  title: 'A standby runs here',
  situation: 'PostgreSQL answers, and is a standby',
  when: (c) => c.isStandby,
  rules: [
    {
      id: 'standby.promotion-failed',
      situation: 'this node leads, and its promotion failed',
      when: (c) => c.lockMine && promotionFailed(c),
      ask: (c) => ({
        effects: [
          ...(mayStillPromote(c) ? [{ kind: 'demote-now' as const, mode: 'immediate' as const }] : []),
          { kind: 'release-leader', optime: null },
        ],
        watchMembers: true,
      }),
      because: 'Promotion cancelled because the pre-promote script failed, or promotion did not succeed: releasing the leader key',
    },
    {
      id: 'standby.cannot-promote',
      situation: 'this node leads, its disk does not let it be promoted, and no operator’s failover names it',
      when: (c) => c.lockMine && !c.paused && c.o.pg.promotionTrouble !== undefined && !isForced(c),
      ask: (c) => ({
        effects: [{ kind: 'release-leader', optime: null }],
        watchMembers: true,
        because: `releasing the leader key: this node cannot be promoted: ${c.o.pg.promotionTrouble}`,
      }),
      because: 'releasing the leader key: this node cannot be promoted',
    },
    {
      id: 'standby.watchdog',
      situation: 'this node leads, and the watchdog it must have cannot be used',
      when: (c) => c.lockMine && c.o.watchdog.required && !c.o.watchdog.healthy,
      ask: () => ({ effects: [{ kind: 'release-leader', optime: null }] }),
      because: 'Not promoting self because watchdog could not be activated',
    },
    {
      id: 'standby.key-from-before',
      situation: 'this node holds a leader key that this process did not take, and somebody is further, or has not answered yet',
      when: (c) => c.lockMine && inheritedVerdict(c).kind !== 'lead',
      ask: withInheritedKey,
      because: 'not promoting by a leader key from before',
    },
    {
      id: 'standby.failsafe',
      situation: 'this node holds the leader key, and has agreed that another goes on in failsafe mode',
      when: (c) => c.lockMine && !c.paused && standsBy(c) !== null,
      ask: (c) => ({
        effects: [{ kind: 'release-leader', optime: null }],
        because: `releasing the leader key: this node has agreed to failsafe mode of ${standsBy(c)}`,
      }),
      because: 'releasing the leader key: this node has agreed to failsafe mode of another',
    },
    {
      id: 'standby.replay-paused',
      situation: 'this node leads, and its replay is paused',
      when: (c) => c.lockMine && c.mayLeadNow && c.o.pg.sql?.replayPaused === true && !c.paused,
      ask: () => ({ effects: [{ kind: 'resume-replay' }], wakeInMs: 50 }),
      because: 'resuming WAL replay before the promotion',
    },
    {
      id: 'standby.promote',
      situation: 'this node leads',
      when: (c) => c.lockMine && c.mayLeadNow,
      ask: (c) => {
        const { names, effect } = takeover(c);
        const request = requestInVain(c);
        const dropped: readonly Effect[] = request === null ? [] : [{ kind: 'clear-failover', expected: request }];
        // Its timeline is the cluster's from then on, also for an agent that starts right after.
        const unmarked: Effect[] = c.m.openedByHand ? [{ kind: 'mark-opened-by-hand', opened: false }] : [];
        if (c.o.pg.strayed) unmarked.push({ kind: 'mark-strayed', strayed: false });
        return {
          effects: [
            ...dropped,
            ...(effect ? [effect] : []),
            ...unmarked,
            { kind: 'start-job', job: { kind: 'promote', syncNames: names } },
          ],
          ...(c.m.keyTaken ? {} : { because: 'promoted self to leader because I had the session lock' }),
        };
      },
      because: 'promoted self to leader by acquiring session lock',
    },
    {
      id: 'standby.miss-leader',
      byTable: true,
      situation: 'another leads, and this node is a voter that misses it, or has promised to take no more WAL from it',
      when: (c) => !c.paused && takeOverVerdict(c) !== null,
      ask: missLeader,
      because: 'the leader {leader} is missed',
    },
    {
      id: 'standby.leader-refuses',
      byTable: true,
      situation: 'another leads, both its ports refuse connections, and that counts',
      when: (c) => !c.paused && refusalVerdict(c) !== null,
      ask: leaderRefuses,
      because: 'the leader {leader} refuses connections',
    },
    {
      id: 'standby.leader-has-less',
      situation: 'this node is on a later timeline than the leader',
      when: (c) => c.otherLeader !== null && !c.paused && !streams(c) && leaderHasLess(c),
      ask: (c) => ({ wakeInMs: 5000, watchMembers: true, because: leaderHasLessText(c) }),
      because: 'not rewinding: the leader {leader} has less than this node',
    },
    {
      id: 'standby.diverged',
      situation: 'this node does not stream, or is ahead of the leader, and its WAL is not a prefix of the leader’s',
      when: (c) => c.otherLeader !== null && !c.paused && divergedFromLeader(c),
      ask: (c) => {
        const outcome = mendDivergence(c, { effects: [], watchMembers: true });
        // While nothing mends it, it must not show readers rows that the cluster does not have.
        return { ...outcome, effects: outcome.effects ?? [{ kind: 'demote-now', mode: 'fast' }] };
      },
      because: 'running pg_rewind',
    },
    {
      id: 'standby.aims-elsewhere',
      situation:
        'this node does not stream, its WAL is a prefix of the leader’s, and PostgreSQL keeps to a timeline of somebody who led in between; no pause',
      when: (c) => c.otherLeader !== null && keepsElsewhere(c),
      ask: retarget,
      because: 'restarting to follow the timeline of the leader',
    },
    {
      id: 'standby.wal-gone',
      situation: 'another leads, and the WAL that it needs is gone there',
      when: (c) => c.otherLeader !== null && c.o.pg.walGone === true,
      ask: () => ({ wakeInMs: IN_VAIN_MS, watchMembers: true }),
      because: describeWalGone({ scope: '{scope}', name: '{me}' }),
    },
    {
      id: 'standby.leader-not-ready',
      situation: 'another leads and cannot be compared with yet, and somebody opened this node for writes by hand',
      when: (c) => c.otherLeader !== null && awaitsComparison(c),
      ask: () => ({ wakeInMs: 500, watchMembers: true }),
      because: 'waiting until {leader} can be compared with: this node wrote WAL of its own and may have to be cloned',
    },
    {
      id: 'standby.copy-slots',
      situation: 'another leads and has permanent logical slots that this node lacks, nothing else is about, and it is this node’s turn',
      when: (c) => copyJob(c) !== null,
      ask: (c) => {
        const job = copyJob(c);
        if (job === null) return nothing;
        const names = job.slots.map((name) => `'${name}'`).join(', ');
        return { effects: [{ kind: 'start-job', job }], because: `Copying logical slots [${names}] from the primary` };
      },
      because: 'Copying logical slots from the primary',
    },
    {
      id: 'standby.follow',
      situation: 'another leads',
      when: (c) => c.otherLeader !== null,
      ask: follow,
      because: 'no action. I am ({me}), a secondary, and following a leader ({leader})',
    },
    {
      id: 'standby.race',
      byTable: true,
      situation: 'nobody holds the leader key',
      when: (c) => c.unlocked,
      ask: (c) => {
        const { id: rule, verdict, because } = raceVerdict(c);
        if (verdict === 'take')
          return { rule, effects: [{ kind: 'acquire-leader' }], wakeInMs: 0, because: `taking the leader key: ${because}` };
        // A node that waits for a former primary, which may still write, does not let go of it.
        const chores = rule === 'race.backoff' ? [] : [...letGo(c), ...resumeReplay(c)];
        const lettingGo = chores.length > 0 && choreHoldOffMs(c.m.chores, 'let-go', c.o) === 0;
        const fresh = c.m.leaderlessSinceMs === null || c.o.nowMs - c.m.leaderlessSinceMs < SOON_MS;
        const wakeInMs = fresh && (lettingGo || verdict === 'leave for now') ? LET_GO_MS : RACE_INTERVAL_MS;
        return { rule, chores, wakeInMs, watchMembers: true, because: leavesKey({ id: rule, because }) };
      },
      because: 'following a different leader because i am not the healthiest node',
    },
    {
      id: 'standby.wait',
      situation: 'this node holds the leader key, on a lease that is not confirmed',
      when: always,
      ask: () => ({ wakeInMs: 200 }),
      because: 'not promoting because failed to update leader lock in DCS',
    },
  ],
};

const HEARING_MS = 50;

/** Since the leader is missed. */
function isFresh({ m, o }: Context): boolean {
  return m.missesLeaderSinceMs === null || o.nowMs - m.missesLeaderSinceMs < SOON_MS;
}

/** `docs/SPEC.md`, "Two fences". */
function missLeader(c: Context): Outcome {
  const answer = takeOverVerdict(c);
  if (answer === null) return nothing;
  const { id: rule, verdict, because } = answer;
  const said = { rule, because, watchMembers: true };
  const fresh = isFresh(c);
  if (verdict === 'wait') return { ...said, wakeInMs: fresh ? HEARING_MS : RACE_INTERVAL_MS };
  if (verdict === 'let go') {
    const alone: Effect = { kind: 'apply-config', role: { kind: 'standby', source: null }, only: 'role' };
    return { ...said, effects: [alone], wakeInMs: MOMENT_MS };
  }
  if (verdict === 'promise') {
    const mark = c.view === null ? null : fenceFor(c.view);
    return { ...said, ...(mark && { effects: [{ kind: 'mark-fence', mark }] }), wakeInMs: 0 };
  }
  if (verdict === 'take') return { ...said, effects: takeOver(c), wakeInMs: 0 };
  return { ...said, chores: resumeReplay(c), wakeInMs: fresh ? MOMENT_MS : RACE_INTERVAL_MS };
}

function leaderRefuses(c: Context): Outcome {
  const answer = refusalVerdict(c);
  const term = c.view?.leader?.modRevision;
  if (answer === null || term === undefined) return nothing;
  const { id: rule, verdict, because } = answer;
  const said = { rule, because, watchMembers: true };
  if (verdict === 'take') return { ...said, effects: [{ kind: 'take-refused', term }], wakeInMs: 0 };
  if (!isFresh(c)) return { ...said, wakeInMs: IN_VAIN_MS };
  return { ...said, wakeInMs: verdict === 'wait' ? HEARING_MS : MOMENT_MS };
}

function takeOver(c: Context): readonly Effect[] {
  const { effect } = takeover(c);
  const { leader, sync } = c.view ?? {};
  if (effect?.kind !== 'write-sync' || !leader || !sync) return [];
  const { quorum, standbys } = effect;
  return [{ kind: 'take-over', term: leader.modRevision, expected: sync, quorum, standbys }];
}

function follow(c: Context): Outcome {
  // Again soon until the new leader's timeline has arrived. Otherwise the REST API would show the
  // old one for a whole round.
  const waiting = wantedSource(c) !== null && (!streams(c) || isOutdated(c));
  const said = c.followsRemote ? { because: 'no action. I am ({me}), a secondary, and following a standby leader ({leader})' } : nothing;
  if (waiting) return { ...said, wakeInMs: c.o.pg.retriesInVain ? IN_VAIN_MS : 500, watchMembers: true };
  return { ...said, ...lookOut(c) };
}
