/**
 * What a node does when its history left the leader's: pg_rewind where that can help, a new copy
 * where the settings allow it. Otherwise it tells the operator what to type.
 */
import { type Context, comparedWith, isStandbyLeader, readyLeader, wantedSource } from '../context.ts';
import { type DrawnTable, onlyAnswer, type Row } from '../decision-table.ts';
import { aimsElsewhere, isOfOtherSystem, localPosition, rewindIsBlind, stoppedPosition } from '../divergence.ts';
import type { Job, ServerRole, Source } from '../effects.ts';
import { holdOffMs } from '../hold-off.ts';
import { sourceOf } from '../member-source.ts';
import type { Failure } from '../model.ts';
import { promoteCluster, reinitCommand } from '../operator-commands.ts';
import { COMPARE_NO_PROGRAM, prospectOf, REWIND_NO_PROGRAM } from '../rewind-prospects.ts';
import { correctIt } from '../wrong-remote.ts';
import type { Outcome } from './table.ts';

/** After so many failed rewinds in a row without a known cause, a new copy is preferred. */
const TRIES = 3;
const OPERATOR_WAKE_MS = 10_000;

interface MendFacts {
  readonly c: Context;
  readonly leader: Source;
  /** Null: there is nobody to copy from. The leader of a standby cluster keeps its data. */
  readonly copyFrom: Source | null;
  /** Both have a timeline of this number, each its own, so pg_rewind sees no difference. */
  readonly blind: boolean;
  /** The settings and the data allow pg_rewind. */
  readonly able: boolean;
  /** There is no pg_rewind here: as good as off, until somebody installs it. */
  readonly lacksProgram: boolean;
  /** The last rewind from this leader; null: it did not fail. */
  readonly failed: Failure | null;
}

type MendVerdict = 'copy' | 'rewind' | 'compare' | 'wait' | 'tell the operator';

export const mendRows: readonly Row<MendFacts, MendVerdict>[] = [
  {
    id: 'mend.other-cluster',
    situation: 'the server to follow is of another cluster: its system identifier is another; or it is a member of this one',
    when: ({ c }) => c.wrongRemote !== null || isOfOtherCluster(c),
    verdict: 'tell the operator',
    because: ({ c, leader }) =>
      c.wrongRemote === null
        ? `${leader.name} is of another cluster (system identifier ${c.o.source?.systemIdentifier}, here ${c.o.pg.systemIdentifier}): nothing is rewound or copied from it; correct its address`
        : `nothing is rewound or copied: ${c.wrongRemote}; ${correctIt(c.o)}`,
  },
  {
    id: 'mend.compare-later',
    situation: 'pg_rewind is not possible, PostgreSQL crashed as a primary, and its WAL could not be compared just now',
    when: (f) => mayFit(f) && failureFrom(f.c, f.leader, 'compare') !== null && holdOffMs(f.c, 'compare') > 0,
    verdict: 'wait',
    because: ({ c, leader }) =>
      `the end of the WAL here could not be compared with ${leader.name} (${c.m.failures.compare?.message}); trying again soon`,
  },
  {
    id: 'mend.compare',
    situation: 'pg_rewind is not possible, PostgreSQL crashed as a primary, and only its WAL tells whether it has anything of its own',
    when: mayFit,
    verdict: 'compare',
    because: ({ leader }) =>
      `pg_rewind is not possible: looking whether all WAL of this crashed primary is in the history of ${leader.name}`,
  },
  {
    id: 'mend.copy',
    situation: 'pg_rewind cannot help, is not there, or failed 3 times without a known cause, and the settings allow to remove the data',
    when: (f) => mayRemoveData(f) && (isHopeless(f) || isWorn(f) || !f.able || f.lacksProgram),
    verdict: 'copy',
    because: () => 'reinitializing due to diverged timelines',
  },
  {
    id: 'mend.rewind-later',
    situation: 'pg_rewind has just failed, and may succeed later',
    when: (f) => canRewind(f) && f.failed !== null && holdOffMs(f.c, 'rewind') > 0,
    verdict: 'wait',
    because: (f) => {
      const told = `pg_rewind failed (${f.failed?.message}); trying again soon`;
      return isWorn(f) ? `${told}; if the cause does not pass, ${reinitCommand(f.c)}` : told;
    },
  },
  {
    id: 'mend.rewind',
    situation: 'pg_rewind can help',
    when: canRewind,
    verdict: 'rewind',
    because: ({ leader }) => `running pg_rewind from ${leader.name}`,
  },
  {
    id: 'mend.rewind-blind',
    situation: 'pg_rewind would see no difference, and the settings do not allow to remove the data',
    when: ({ blind }) => blind,
    verdict: 'tell the operator',
    because: (f) => byOperator(f, `pg_rewind does not see it (both have a timeline ${localPosition(f.c.o.pg)?.timeline}, each its own)`),
  },
  {
    id: 'mend.rewind-refused',
    situation: 'pg_rewind has refused these data, and the settings do not allow to remove them',
    when: ({ able }) => able,
    verdict: 'tell the operator',
    because: (f) => byOperator(f, `pg_rewind cannot mend that (${f.failed?.message ?? ''})`),
  },
  {
    id: 'mend.rewind-impossible',
    situation: 'pg_rewind is off or cannot run, and the settings do not allow to remove the data',
    when: () => true,
    verdict: 'tell the operator',
    because: (f) => byOperator(f, 'pg_rewind is not possible (it needs use_pg_rewind, and wal_log_hints or data checksums)'),
  },
];

export const mendTable: DrawnTable = {
  title: 'A history that left the leader’s',
  situation: 'the WAL here is not a prefix of the leader’s (rules `standby.diverged` and those of a stopped PostgreSQL)',
  rows: mendRows,
};

/** `meanwhile`: for as long as the one that it left cannot be compared with. */
export function mendDivergence(c: Context, meanwhile: Outcome): Outcome {
  const leader = comparedWith(c);
  if (leader === null) return meanwhile;
  const f = factsOf(c, leader);
  const answer = onlyAnswer(mendRows, f);
  const said = { rule: answer.id, because: answer.because };
  switch (answer.verdict) {
    case 'copy':
      return { rule: answer.id, ...reinitialize(c, f.copyFrom ?? leader, answer.because) };
    case 'rewind':
      return { ...said, effects: [{ kind: 'start-job', job: rewindFrom(c, leader) }] };
    case 'compare':
      return { ...said, effects: [{ kind: 'start-job', job: { ...rewindFrom(c, leader), kind: 'compare' } }] };
    case 'wait':
      return { ...said, wakeInMs: Math.max(holdOffMs(c, 'rewind'), holdOffMs(c, 'compare')) };
    case 'tell the operator':
      return { ...said, wakeInMs: OPERATOR_WAKE_MS };
  }
}

/** What was tried often enough, or cannot be tried, does not mend these data. */
export function lacksCure(c: Context, leader: Source): boolean {
  // The data of every other member are no nearer to those of another cluster.
  if (c.wrongRemote !== null || isOfOtherCluster(c)) return false;
  const f = factsOf(c, leader);
  return isWorn(f) || lacksWaldump(f) || onlyAnswer(mendRows, f).verdict === 'tell the operator';
}

/** A replica of a standby cluster is rewound from the server outside, and follows its leader. */
function rewindFrom(c: Context, source: Source): Job & { kind: 'rewind' } {
  return c.followsRemote && !c.lockMine ? { kind: 'rewind', source, follow: wantedSource(c) } : { kind: 'rewind', source };
}

function factsOf(c: Context, leader: Source): MendFacts {
  const { control } = c.o.pg;
  const blind = rewindIsBlind(c.o.pg, c.o.source);
  const able = !blind && c.o.settings.postgresql.usePgRewind && (control === null || control.walLogHints || control.dataChecksums);
  const lacksProgram = c.m.failures.rewind?.code === REWIND_NO_PROGRAM;
  const copyFrom = c.followsRemote ? streamingLeader(c) : leader;
  return { c, leader, copyFrom, blind, able, lacksProgram, failed: failureFrom(c, leader) };
}

/** Whoever made that mistake may yet correct it: nothing of it is remembered, and no data go. */
function isOfOtherCluster({ o: { pg, source } }: Context): boolean {
  return source !== null && isOfOtherSystem(pg, source);
}

/** A leader that follows nobody may have left the history of the server outside just as well. */
function streamingLeader(c: Context): Source | null {
  const leader = readyLeader(c);
  return leader?.role === 'standby_leader' && leader.replicationState === 'streaming' ? sourceOf(leader) : null;
}

/**
 * pg_controldata does not tell where the WAL of a crashed primary ends. A rewind would find out; so
 * does a look at the WAL, which changes nothing.
 */
function mayFit(f: MendFacts): boolean {
  const { c, leader, able, blind } = f;
  const { control, dataDir } = c.o.pg;
  if (able || blind || !c.stopped || dataDir !== 'valid' || control === null || !stoppedPosition(control).open) return false;
  return prospectOf(failureFrom(c, leader, 'compare')?.code) !== 'never' && !(lacksWaldump(f) && mayRemoveData(f));
}

/** Often enough that a package which is just being replaced is there again. */
function lacksWaldump({ c, leader }: MendFacts): boolean {
  const failed = failureFrom(c, leader, 'compare');
  return failed !== null && failed.code === COMPARE_NO_PROGRAM && failed.count >= TRIES;
}

/** What came of a rewind or a comparison with one source says nothing about another source. */
function failureFrom(c: Context, leader: Source, kind: 'rewind' | 'compare' = 'rewind'): Failure | null {
  const failed = c.m.failures[kind];
  return failed === undefined || (failed.source !== undefined && failed.source !== leader.name) ? null : failed;
}

function mayRemoveData({ c, copyFrom, able, blind, lacksProgram }: MendFacts): boolean {
  const { removeDataDirectoryOnRewindFailure, removeDataDirectoryOnDivergedTimelines } = c.o.settings.postgresql;
  if (copyFrom === null) return false;
  return (able && !lacksProgram) || blind ? removeDataDirectoryOnRewindFailure : removeDataDirectoryOnDivergedTimelines;
}

const isHopeless = ({ blind, able, failed }: MendFacts): boolean =>
  blind || (able && failed !== null && prospectOf(failed.code) === 'never');

const isWorn = ({ failed }: MendFacts): boolean => failed !== null && prospectOf(failed.code) === 'unclear' && failed.count >= TRIES;

/** As often as it takes, because a cause that passes must not cost the data. */
function canRewind(f: MendFacts): boolean {
  return f.able && !isHopeless(f);
}

const byOperator = ({ c, leader }: MendFacts, why: string): string =>
  `the data of this node diverged from ${leader.name} and ${why}; ${c.lockMine ? copyOfLeader(c) : reinitCommand(c)}`;

/**
 * The leader of a standby cluster is refused a reinit, and no other can lead in its place. Its data
 * may be the only ones of this cluster, and the setting a mistake.
 */
const copyOfLeader = ({ o: { settings } }: Context): string =>
  `to keep the data of this node and write to it again: ${promoteCluster(settings.local.scope)}. Only if they may be lost (no other member can lead): ` +
  `stop the agents of all members, move their data directories away (here ${settings.postgresql.dataDir}), delete the key initialize of '${settings.local.scope}' in etcd and start the agents: the first then copies the server outside`;

export function reinitialize(c: Context, leader: Source, because: string): Outcome {
  const wait = holdOffMs(c, 'reinitialize');
  if (wait > 0) return { wakeInMs: wait, because: `cloning failed (${c.m.failures.reinitialize?.message ?? ''}); trying again soon` };
  return { effects: [{ kind: 'start-job', job: { kind: 'reinitialize', source: leader, fromLeader: false } }], because };
}

/** PostgreSQL keeps to a timeline that its source does not have, and it is time to mend that. */
export const keepsElsewhere = (c: Context): boolean => !c.paused && aimsElsewhere(c.o.pg, c.o.source) && holdOffMs(c, 'retarget') === 0;

/** PostgreSQL is told of no timeline but those of its source. */
export function retarget(c: Context): Outcome {
  const { timeline = null } = localPosition(c.o.pg) ?? {};
  const aim = c.o.pg.aimsAt;
  if (timeline === null || aim === undefined) return {};
  const role: ServerRole = { kind: 'standby', source: wantedSource(c), ...(isStandbyLeader(c) && { leads: true }) };
  return {
    effects: [{ kind: 'start-job', job: { kind: 'retarget', timeline, role } }],
    because: `restarting to follow the timeline of ${c.o.source?.name ?? 'the leader'}: PostgreSQL here follows timeline ${aim.timeline} of somebody who led in between`,
  };
}
