/** PostgreSQL is down, and nobody asked for that. */
import { untold } from '../callbacks.ts';
import { awaitsRemote, type Context, readyLeader, readySource, wantedSource, whyRemoteUnknown } from '../context.ts';
import { divergenceFrom, leaderHasLess } from '../divergence.ts';
import type { Source } from '../effects.ts';
import { promotionFailed } from '../failed-promotions.ts';
import { holdOffMs } from '../hold-off.ts';
import { inheritedVerdict } from '../inherited-key.ts';
import { wasPrimary, wroteItsOwn } from '../last-life.ts';
import { reinitCommand } from '../operator-commands.ts';
import { possibleSuccessors } from '../race/successors.ts';
import { START_UNRECOVERABLE } from '../rewind-prospects.ts';
import { takeover } from '../sync.ts';
import { countsVotes } from '../voters.ts';
import { leaderHasLessText, withInheritedKey } from './lesser-leader.ts';
import { mendDivergence, reinitialize } from './mend.ts';
import { isForced } from './standby.ts';
import { YIELDS, yieldLead, yieldsLead } from './standby-leader-yields.ts';
import { always, type Outcome, type Section } from './table.ts';

/** A successor that takes longer than this may need this node's position in the race. */
const SUCCESSOR_MS = 3000;
/**
 * Where votes count, a successor that has not even taken the key by then lacks a vote: another
 * standby is gone, and this node is the next that has everything.
 */
const VOTE_MS = 500;
const mayLackVote = (c: Context) => c.unlocked && c.view !== null && countsVotes(c.view, c.o.settings.dynamic.synchronousMode);
const handedOverMs = (c: Context) => (c.m.handedOverAtMs === null ? SUCCESSOR_MS : c.o.nowMs - c.m.handedOverAtMs);
const startFailures = (c: Context) => c.m.failures.start?.count ?? 0;

function startStandby(source: Source | null, why: string, because: string): Outcome {
  return { effects: [{ kind: 'start-job', job: { kind: 'start', role: { kind: 'standby', source }, why } }], because };
}

/**
 * What the log calls the start while it is in progress. After a switchover, or when the machine was
 * started, nothing has failed.
 */
function startLabel({ m }: Context): string {
  if (m.role === 'demoted') return 'starting after demotion';
  const failed = m.state === 'crashed' || m.failures.start !== undefined || m.failures.restart !== undefined;
  return failed ? 'restarting after failure' : 'starting as a secondary';
}

/** PostgreSQL itself says that it cannot start on these data, unless somebody brings the WAL. */
const cannotRecover = (c: Context) => c.m.failures.start?.code === START_UNRECOVERABLE && !c.lockMine;

function copyInstead(c: Context): Source | null {
  return cannotRecover(c) && c.o.settings.postgresql.removeDataDirectoryOnRewindFailure ? readySource(c) : null;
}

export const stopped: Section = {
  title: 'PostgreSQL is down',
  situation: 'PostgreSQL is down',
  when: (c) => c.stopped,
  rules: [
    {
      id: 'stopped.rewind-again',
      situation: 'a rewind was interrupted half-way',
      when: (c) => c.o.pg.dataDir === 'incomplete',
      ask: (c) => {
        if (c.lockMine) return { effects: [{ kind: 'release-leader', optime: null }], wakeInMs: 0 };
        return mendDivergence(c, { watchMembers: true, wakeInMs: 1000 });
      },
      because: 'an interrupted pg_rewind has to be repeated, and needs a primary to read from',
    },
    {
      id: 'stopped.backup-leads',
      situation: 'this node holds the leader key, and its data directory is a restored base backup',
      when: (c) => c.lockMine && c.o.pg.baseBackup !== undefined,
      ask: () => ({ effects: [{ kind: 'release-leader', optime: null }], wakeInMs: 0, watchMembers: true }),
      because: 'releasing the leader key: the data directory is a restored base backup, which does not have what this node wrote as leader',
    },
    {
      id: 'stopped.stray-leads',
      situation: 'this node holds the leader key, and somebody opened it for writes by hand since it was looked at for the race',
      when: (c) => c.lockMine && c.m.strayed && !isForced(c),
      ask: () => ({ effects: [{ kind: 'release-leader', optime: null }], wakeInMs: 0, watchMembers: true }),
      because: 'releasing the leader key: this node wrote WAL of its own on the timeline of the last leader',
    },
    {
      id: 'stopped.give-up',
      situation:
        'this leader’s PostgreSQL crashed or could not be promoted, and restarting it failed or is not wanted (primary_start_timeout 0) while another can lead',
      when: (c) => {
        if (!c.lockMine || c.view === null) return false;
        const impatient = c.o.settings.dynamic.primaryStartTimeoutSeconds === 0 && wasPrimary(c) && !c.followsRemote;
        return (impatient || startFailures(c) > 0 || promotionFailed(c)) && possibleSuccessors(c, c.view, { despiteLag: true }).length > 0;
      },
      ask: (c) => ({
        effects: [{ kind: 'release-leader', optime: null }],
        chores: untold(c, true),
        watchMembers: true,
        ...(startFailures(c) === 0
          ? {}
          : { because: `removed leader key after trying and failing to start postgres: ${c.m.failures.start?.message ?? ''}` }),
      }),
      because: 'stopped PostgreSQL to fail over after a crash: releasing the leader key',
    },
    {
      id: 'stopped.await-successor',
      situation: 'this node has just handed over, and the successor is not a primary yet',
      when: (c) => c.m.handedOver && readyLeader(c) === null && handedOverMs(c) < (mayLackVote(c) ? VOTE_MS : SUCCESSOR_MS),
      ask: () => ({ wakeInMs: 100, watchMembers: true }),
      because: 'handed over; coming back as a standby once the successor takes writes, so that no client is led here meanwhile',
    },
    {
      id: 'stopped.unrecoverable',
      situation: 'PostgreSQL cannot recover its data, and the settings allow a new copy',
      when: (c) => copyInstead(c) !== null,
      ask: (c) => {
        const leader = copyInstead(c);
        return leader === null ? {} : reinitialize(c, leader, 'reinitializing: PostgreSQL cannot recover the data directory');
      },
      because: 'reinitializing: PostgreSQL cannot recover the data directory',
    },
    {
      id: 'stopped.start-failed',
      situation: 'PostgreSQL does not start, and the next try is not due yet',
      when: (c) => holdOffMs(c, 'start') > 0,
      ask: (c) => {
        const because = `failed to start postgres (${c.m.failures.start?.message ?? ''}); trying again soon`;
        return {
          wakeInMs: holdOffMs(c, 'start'),
          because: cannotRecover(c) ? `${because}; if that WAL is nowhere, ${reinitCommand(c)}` : because,
        };
      },
      because: 'failed to start postgres',
    },
    {
      id: 'stopped.base-backup',
      situation: 'the data directory is a base backup that was not recovered to its end yet',
      when: (c) => c.o.pg.baseBackup !== undefined,
      ask: (c) => {
        // Once it is consistent it can be compared with the leader, and rewound. Until then it gets
        // no WAL that may not fit.
        const source = divergenceFrom(c.o.pg, c.o.source) === 'diverged' ? null : wantedSource(c);
        return startStandby(source, 'recovering a base backup', 'starting the base backup in the data directory as a standby');
      },
      because: 'starting the base backup in the data directory as a standby',
    },
    {
      id: 'stopped.remote-unknown',
      situation:
        'a standby cluster has a leader, this node wrote WAL of its own, and the server outside cannot be asked whether it has that',
      when: (c) => c.followsRemote && !c.unlocked && awaitsRemote(c),
      ask: (c) =>
        startStandby(
          null,
          startLabel(c),
          `starting read-only, following nobody until the server of standby_cluster can be compared with: this node wrote WAL of its own, and ${whyRemoteUnknown(c)}`,
        ),
      because: 'starting read-only, following nobody until the server of standby_cluster can be compared with',
    },
    {
      id: 'stopped.standby-leader-yields',
      situation:
        'this node leads a standby cluster, its WAL is not a prefix of that of the server outside, nothing mends that, and another can lead',
      when: (c) => c.followsRemote && c.lockMine && yieldsLead(c),
      ask: yieldLead,
      because: YIELDS,
    },
    {
      id: 'stopped.standby-leader-diverged',
      situation: 'this node leads a standby cluster, and its WAL is not a prefix of that of the server outside',
      when: (c) => c.followsRemote && c.lockMine && divergenceFrom(c.o.pg, c.o.source) === 'diverged',
      ask: (c) => mendDivergence(c, { wakeInMs: 500 }),
      because: 'running pg_rewind',
    },
    {
      id: 'stopped.standby-leader',
      situation: 'this node leads a standby cluster',
      when: (c) => c.followsRemote && c.lockMine,
      ask: (c) => ({
        effects: [
          {
            kind: 'start-job',
            job: { kind: 'start', role: { kind: 'standby', source: wantedSource(c), leads: true }, why: startLabel(c) },
          },
        ],
      }),
      because: 'starting as a standby leader because i had the session lock',
    },
    {
      id: 'stopped.key-from-before',
      situation: 'this leader’s primary is down, this process did not take the key, and somebody is further or has not answered yet',
      when: (c) => c.lockMine && wasPrimary(c) && inheritedVerdict(c).kind !== 'lead',
      ask: withInheritedKey,
      because: 'not starting as a primary by a leader key from before',
    },
    {
      id: 'stopped.restart-primary',
      situation: 'this leader’s PostgreSQL was a primary and is down, and nobody else opened it for writes',
      // What somebody wrote by hand is on a timeline of others: the lead begins one of its own.
      when: (c) => c.lockMine && c.mayLeadNow && wasPrimary(c) && !c.m.strayed,
      ask: (c) => {
        const { names, effect } = takeover(c);
        const role = { kind: 'primary', syncNames: names } as const;
        return {
          effects: [
            ...(effect ? [effect] : []),
            { kind: 'start-job', job: { kind: 'start', role, why: 'starting primary after failure' } },
          ],
        };
      },
      because: 'starting primary after failure',
    },
    {
      id: 'stopped.start-own-leader',
      situation: 'this node holds the leader key, and is to be promoted',
      when: (c) => c.lockMine,
      ask: () =>
        startStandby(null, 'starting as readonly because i had the session lock', 'starting as readonly because i had the session lock'),
      because: 'starting as readonly because i had the session lock',
    },
    {
      id: 'stopped.leader-not-ready',
      situation: 'the leader is still being promoted or cannot be asked about its history, and this node may have WAL of its own',
      when: (c) =>
        !c.followsRemote &&
        c.otherLeader !== null &&
        (readyLeader(c) === null || divergenceFrom(c.o.pg, c.o.source) === 'unknown') &&
        (wroteItsOwn(c) || c.m.strayed),
      ask: () => ({ watchMembers: true, wakeInMs: 500 }),
      because: 'waiting until {leader} can be compared with: this node was a primary and may have to be rewound',
    },
    {
      id: 'stopped.leader-has-less',
      situation: 'this node is on a later timeline than the leader',
      when: (c) => c.otherLeader !== null && leaderHasLess(c),
      ask: (c) =>
        startStandby(null, 'starting read-only, following nobody', `starting read-only, following nobody: ${leaderHasLessText(c)}`),
      because: 'starting read-only, following nobody: the leader {leader} has less than this node',
    },
    {
      id: 'stopped.diverged',
      situation: 'the WAL here is not a prefix of the leader’s',
      when: (c) => c.otherLeader !== null && divergenceFrom(c.o.pg, c.o.source) === 'diverged',
      ask: (c) => mendDivergence(c, { watchMembers: true, wakeInMs: 500 }),
      because: 'running pg_rewind',
    },
    {
      id: 'stopped.start-standby',
      situation: 'a leader exists whose history contains ours',
      when: (c) => c.otherLeader !== null,
      ask: (c) => startStandby(wantedSource(c), startLabel(c), 'starting as a secondary'),
      because: 'starting as a secondary',
    },
    {
      id: 'stopped.strayed',
      situation: 'nobody leads, and this node has WAL of its own on the timeline of the last leader',
      when: (c) => c.m.strayed && !isForced(c),
      ask: () => ({ wakeInMs: 5000, watchMembers: true }),
      because:
        'this node waits for a leader to clone from, because it wrote WAL of its own on the last leader’s timeline. Only an operator’s failover to it by name makes it lead',
    },
    {
      id: 'stopped.start-for-race',
      situation: 'nobody leads',
      when: always,
      ask: (c) => startStandby(null, startLabel(c), 'starting as a secondary, so that the members can compare their positions'),
      because: 'starting as a secondary',
    },
  ],
};
