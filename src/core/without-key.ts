/** A leader that goes on although nobody holds the leader key: etcd has not renewed it in time. */
import type { Context } from './context.ts';
import { goesOnUnasked, otherStandsBy, standsBy } from './failsafe.ts';
import { otherVouches, vouchesFor } from './quorum/vouching.ts';

/**
 * A leader that this node or another member has vouched for, or agreed to in failsafe mode; or one
 * that need not ask this node. Null: none is known.
 */
export const goesOnWithoutKey = (c: Context): string | null =>
  vouchesFor(c) ?? standsBy(c) ?? otherVouches(c)?.leader ?? otherStandsBy(c)?.leader ?? goesOnUnasked(c);
