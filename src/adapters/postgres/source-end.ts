/**
 * Whether a node that wrote WAL on a timeline its source is or was on ended in records that the
 * source has as well.
 */
import { sharesPlace } from '../../core/divergence.ts';
import type { Source } from '../../core/effects.ts';
import type { SourceHistory, WalEnd } from '../../core/postgres-facts.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { ensureError } from '../../support/errors.ts';
import { sameRecord } from './contained.ts';
import { type Context, depsOf } from './context.ts';
import { lastRecord } from './wal-end.ts';

/**
 * Null: it cannot be told now. What lies past the point where the source left that timeline is not
 * asked about: that it has other WAL there the histories tell.
 */
export async function hasEnd(
  context: Context,
  source: Source,
  history: SourceHistory,
  end: WalEnd,
  options: Bounded,
): Promise<boolean | null> {
  const { walSegmentBytes, log } = context;
  const { timeline } = end;
  if (history.inRecovery || walSegmentBytes === null || !sharesPlace(history, timeline, end.checkpointLsn)) return null;
  const deps = depsOf(context);
  try {
    // A checkpoint has its moment in it; other records two servers may write alike.
    const same = await sameRecord(deps, source, { timeline, from: end.checkpointLsn }, walSegmentBytes, options);
    if (same !== true || !end.open) return same;
    const last = await lastRecord(deps, timeline, end.checkpointLsn, options);
    if (last !== null && !sharesPlace(history, timeline, last)) return same;
    return last === null ? null : await sameRecord(deps, source, { timeline, from: last }, walSegmentBytes, options);
  } catch (error) {
    log.debug(`${source.name} does not tell whether it has the last records of this node: ${ensureError(error).message}`);
    return null;
  }
}
