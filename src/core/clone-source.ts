/** Which member a new copy of the data is taken from. */
import { type Context, readyLeader } from './context.ts';
import type { Source } from './effects.ts';
import { sourceOf } from './member-source.ts';
import { isCountedOn } from './voters.ts';

export interface CloneSource {
  readonly source: Source;
  readonly sourceRole: 'leader' | 'replica';
  /**
   * The operator asked for a copy from the leader. If the leader is the source for another reason,
   * the configured methods apply.
   */
  readonly fromLeader: boolean;
}

/**
 * A running replica tagged clonefrom if there is one (the first by name), otherwise the leader. The
 * leader if the operator asked for that.
 */
export function cloneSource(c: Context, fromLeader = false): CloneSource | null {
  return sourceFor(c, fromLeader, fromLeader);
}

/**
 * Where a member without data takes its copy from. /sync may count on commits that the member
 * confirmed before its data were lost. Then only the primary that /sync names is sure to have all
 * of them. A directory that a configured method restored is marked, and its vote does not count
 * until it has caught up with that primary.
 */
export function sourceWithoutData(c: Context): CloneSource | null {
  const countedOn = c.view !== null && isCountedOn(c.view, c.o.settings.dynamic.synchronousMode, c.me);
  return countedOn && c.view?.sync?.leader !== c.otherLeader ? null : sourceFor(c, countedOn, false);
}

function sourceFor(c: Context, mustBeLeader: boolean, fromLeader: boolean): CloneSource | null {
  const leader = readyLeader(c);
  if (leader === null || c.view === null) return null;
  const offered = c.view.members.find(
    (member) =>
      !mustBeLeader &&
      member.tags.clonefrom === true &&
      member.name !== c.me &&
      member.name !== leader.name &&
      member.state === 'running' &&
      member.role === 'replica' &&
      member.connUrl !== null,
  );
  const source = sourceOf(offered ?? leader);
  return source === null ? null : { source, sourceRole: offered === undefined ? 'leader' : 'replica', fromLeader };
}
