/**
 * What is done about a node whose history left the leader's: pg_rewind where that can help, a new
 * copy where the settings allow it, else a word to the operator.
 */
import type { Context } from '../context.ts';
import { localPosition, rewindIsBlind } from '../divergence.ts';
import type { Source } from '../effects.ts';
import { holdOffMs } from '../hold-off.ts';
import type { Failure } from '../model.ts';
import { reinitCommand } from '../operator-commands.ts';
import { prospectOf } from '../rewind-prospects.ts';
import type { Outcome } from './table.ts';

/**
 * So many rewinds that fail in a row, for a cause that nobody can name, are enough to prefer a new
 * copy.
 */
const TRIES = 3;

export function mendDivergence(c: Context, leader: Source): Outcome {
  const { postgresql } = c.o.settings;
  const { control } = c.o.pg;
  const twin = rewindIsBlind(c.o.pg, c.o.source);
  const able = !twin && postgresql.usePgRewind && (control === null || control.walLogHints || control.dataChecksums);
  const failed = failureFrom(c, leader);
  const prospect = failed === null ? 'passes' : prospectOf(failed.code);
  const worn = failed !== null && prospect === 'unclear' && failed.count >= TRIES;
  const hopeless = twin || (able && prospect === 'never');
  const mayRemove = able || twin ? postgresql.removeDataDirectoryOnRewindFailure : postgresql.removeDataDirectoryOnDivergedTimelines;
  if (mayRemove && (hopeless || worn || !able)) return reinitialize(c, leader, 'reinitializing due to diverged timelines');
  if (able && !hopeless) {
    const wait = holdOffMs(c, 'rewind');
    if (failed !== null && wait > 0) return { wakeInMs: wait, because: waiting(c, failed, worn) };
    return { effects: [{ kind: 'start-job', job: { kind: 'rewind', source: leader } }], because: `running pg_rewind from ${leader.name}` };
  }
  const why = twin
    ? `pg_rewind does not see it (both have a timeline ${localPosition(c.o.pg)?.timeline}, each its own)`
    : able
      ? `pg_rewind cannot mend that (${failed?.message ?? ''})`
      : 'pg_rewind is not possible (it needs use_pg_rewind, and wal_log_hints or data checksums)';
  return { wakeInMs: 10_000, because: `the data of this node diverged from ${leader.name} and ${why}; ${reinitCommand(c)}` };
}

/** Only where this leader was the source. */
function failureFrom(c: Context, leader: Source): Failure | null {
  const failed = c.m.failures.rewind;
  return failed === undefined || (failed.source !== undefined && failed.source !== leader.name) ? null : failed;
}

function waiting(c: Context, failed: Failure, worn: boolean): string {
  const told = `pg_rewind failed (${failed.message}); trying again soon`;
  return worn ? `${told}; if the cause does not pass, ${reinitCommand(c)}` : told;
}

export function reinitialize(c: Context, leader: Source, because: string): Outcome {
  const wait = holdOffMs(c, 'reinitialize');
  if (wait > 0) return { wakeInMs: wait, because: `cloning failed (${c.m.failures.reinitialize?.message ?? ''}); trying again soon` };
  return { effects: [{ kind: 'start-job', job: { kind: 'reinitialize', source: leader, fromLeader: false } }], because };
}
