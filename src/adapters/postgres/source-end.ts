/**
 * Whether a node's WAL ends in records that its source has too, when it wrote them on a timeline of
 * that source's history.
 */
import { sharesPlace } from '../../core/divergence.ts';
import type { Source } from '../../core/effects.ts';
import type { SourceHistory, WalEnd } from '../../core/postgres-facts.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { ensureError } from '../../support/errors.ts';
import { sameRecord } from './contained.ts';
import { depsOf, type LocalServer } from './local-server.ts';
import { lastRecord } from './wal-end.ts';

/**
 * A member that is in recovery does not lead yet, and is asked again once it does. The server
 * outside of a standby cluster may be a standby for good.
 */
export function canTell(source: Pick<Source, 'remote'>, history: SourceHistory, { timeline, checkpointLsn }: WalEnd): boolean {
  return (!history.inRecovery || source.remote !== undefined) && sharesPlace(history, timeline, checkpointLsn);
}

/**
 * Null: it cannot be told now. WAL past the point where the source left that timeline is not asked
 * about: the histories tell that it differs.
 */
export async function hasEnd(
  server: LocalServer,
  source: Source,
  history: SourceHistory,
  end: WalEnd,
  options: Bounded,
): Promise<boolean | null> {
  const { walSegmentBytes, log } = server;
  const { timeline } = end;
  if (walSegmentBytes === null || !canTell(source, history, end)) return null;
  const deps = depsOf(server);
  try {
    // A checkpoint contains its time; two servers may write other records alike.
    const same = await sameRecord(deps, source, { timeline, from: end.checkpointLsn }, walSegmentBytes, options);
    if (same !== true || !end.open) return same;
    const last = await lastRecord(deps, { timeline, checkpointLsn: end.checkpointLsn, segmentBytes: walSegmentBytes }, options);
    if (last !== null && !sharesPlace(history, timeline, last)) return same;
    return last === null ? null : await sameRecord(deps, source, { timeline, from: last }, walSegmentBytes, options);
  } catch (error) {
    log.debug(`${source.name} does not tell whether it has the last records of this node: ${ensureError(error).message}`);
    return null;
  }
}
