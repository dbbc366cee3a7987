/** Whether a node that wrote WAL on the timeline its source is on now ended in records that the source has as well. */
import type { Source } from '../../core/effects.ts';
import type { SourceHistory, WalEnd } from '../../core/postgres-facts.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { ensureError } from '../../support/errors.ts';
import { sameRecord } from './contained.ts';
import { type Context, depsOf } from './context.ts';
import { lastRecord } from './wal-end.ts';

/** Null: it cannot be told now. Only the timeline of both is asked about; what lies before it the histories tell. */
export async function hasEnd(
  context: Context,
  source: Source,
  { timeline, inRecovery }: SourceHistory,
  end: WalEnd,
  options: Bounded,
): Promise<boolean | null> {
  const { walSegmentBytes, log } = context;
  if (inRecovery || timeline !== end.timeline || walSegmentBytes === null) return null;
  const deps = depsOf(context);
  try {
    // A checkpoint has its moment in it; other records two servers may write alike.
    const same = await sameRecord(deps, source, { timeline, from: end.checkpointLsn }, walSegmentBytes, options);
    if (same !== true || !end.open) return same;
    const last = await lastRecord(deps, timeline, end.checkpointLsn, options);
    return last === null ? null : await sameRecord(deps, source, { timeline, from: last }, walSegmentBytes, options);
  } catch (error) {
    log.debug(`${source.name} does not tell whether it has the last records of this node: ${ensureError(error).message}`);
    return null;
  }
}
