/** What pg_rewind makes of two servers, and what the adapter makes of them before. */
import type { Source } from '../../../src/core/effects.ts';
import type { Lsn } from '../../../src/core/units.ts';
import type { Bounded } from '../../../src/ports/postgres.ts';
import { RegentError } from '../../../src/support/errors.ts';
import type { PostgresParts } from '../postgres.ts';
import type { SimServer } from '../server.ts';
import { type Branch, commonAncestor, isPrefix } from '../wal.ts';
import { reach, step, transient } from './transfer.ts';
import { twinOf } from './twins.ts';

const LOOK_MS = 200;

/** What comes to light before anything is changed, as errors of the adapter. */
export function refuse(server: SimServer, target: SimServer): void {
  if (target.systemId !== server.systemId || commonAncestor(server.position, target.position) === null)
    throw new RegentError('REWIND_NOTHING_IN_COMMON', 'source and target are from different systems');
  // The adapter looks before pg_rewind does, which would not see it.
  if (twinOf(server, target)) throw transient('REWIND_BLIND', 'both have a timeline of one number, each its own');
  if (server.backup !== null) throw transient('REWIND_REFUSED', 'a base backup that was not recovered to its end');
  if (server.work === 'rewind' && !needsRewind(server, target)) throw transient('REWIND_BLIND', 'half rewound, and taken for the same');
  if (server.full !== 'no' && !isContained(server, target)) throw transient('REWIND_NO_ROOM', 'no space left on device');
}

/**
 * pg_rewind (up to 15) reads in the source's control file which timeline that is on, and a
 * promotion alone does not change it. So the adapter has the source write a checkpoint. Where the
 * rewind user may not do that, the source's own is waited for (rewind-source.ts).
 */
export async function settle(parts: PostgresParts, source: Source, options: Bounded): Promise<SimServer> {
  for (let asked = false; ; asked = true) {
    const target = reach(parts, source);
    if (target === null || target.inRecovery) throw transient('SOURCE_NOT_READY', `${source.name} is not a primary that answers`);
    if (target.checkpoint.branch === target.position.branch) return target;
    const ordered = target.rewindMayCheckpoint && !asked;
    await step(parts, ordered ? target.draw(target.durations.checkpointMs) : LOOK_MS, options, 'SOURCE_NOT_READY');
    if (ordered && target.accepts && !target.inRecovery && !target.diskHung) target.checkpointed();
  }
}

/**
 * Checked before pg_rewind may touch a crashed primary's directory. It also finds WAL of the
 * directory's own where pg_rewind would see no difference.
 */
export function isContained(server: SimServer, target: SimServer): boolean {
  const { branch } = server.position;
  const older = branch.timeline < target.position.branch.timeline;
  if (server.work !== null || server.controlState !== 'in production' || !older) return false;
  if (isPrefix(server.position, target.position)) return true;
  if (!needsRewind(server, target))
    throw new RegentError('REWIND_BLIND', 'other WAL before the point up to which pg_rewind takes both for the same', {
      policy: 'transient',
    });
  return false;
}

/** A crashed primary that has nothing of its own becomes a standby as it is. */
export async function compare(parts: PostgresParts, source: Source, options: Bounded): Promise<void> {
  const { server } = parts;
  if (server.process !== null || server.pidTaken) throw transient('PG_RUNNING', 'PostgreSQL runs');
  await step(parts, 50, options, 'SOURCE_UNREACHABLE');
  const target = reach(parts, source);
  if (target === null || target.inRecovery) throw transient('SOURCE_UNREACHABLE', `${source.name} is not a primary that answers`);
  refuse(server, target);
  if (!isContained(server, target)) throw transient('COMPARE_DIVERGED', 'the WAL here goes on');
  server.signal = true;
}

/** The adapter sees to it that the control file tells of the timeline that was replayed last. */
export function hidesTimeline({ controlState, minRecovery, checkpoint }: SimServer): boolean {
  return controlState === 'shut down in recovery' && minRecovery?.branch !== checkpoint.branch;
}

interface Stretch {
  readonly timeline: number;
  /** null: it has not been left. */
  readonly end: Lsn | null;
}

const stretchesOf = ({ history, timeline }: Branch): readonly Stretch[] => [
  ...history.map((entry) => ({ timeline: entry.timeline, end: entry.switchLsn })),
  { timeline, end: null },
];

/**
 * As pg_rewind judges: by numbers and by the points where timelines were left; the WAL itself it
 * does not compare.
 */
export function needsRewind(server: SimServer, target: SimServer): boolean {
  if (server.checkpoint.branch.timeline === target.position.branch.timeline) return false;
  const ours = stretchesOf(server.checkpoint.branch);
  const theirs = stretchesOf(target.position.branch);
  let parted: Lsn | null = null;
  for (const [i, own] of ours.entries()) {
    const other = theirs[i];
    if (other === undefined || other.timeline !== own.timeline || (i > 0 && ours[i - 1]?.end !== theirs[i - 1]?.end)) break;
    parted = own.end === null || (other.end !== null && other.end < own.end) ? other.end : own.end;
  }
  return parted === null || server.position.lsn > parted;
}
