/**
 * While etcd does not answer, voters can stand in for it. Each says that for the next VOUCH_MS it
 * refuses to promise anything against the leader, to vote, and to take the leader key. While as
 * many voters as a commit waits for have said so, the others are too few to fence the leader or to
 * vote another one in. So the leader goes on, as by a lease of that length (authority.ts).
 *
 * What a process has vouched for is forgotten when it ends. So its successor keeps every such
 * promise that it may have made: it does nothing of the kind for VOUCH_MS.
 */
import { sameName } from '../cluster.ts';
import type { Context } from '../context.ts';
import type { Effect } from '../effects.ts';
import { VOUCH_MS } from '../settings.ts';
import { includes } from '../voters.ts';
import type { QuorumFence } from './in-force.ts';
import { keptLeader, type LinkFacts } from './link-facts.ts';

/** Until when this member must not be fenced, give a vote, or take the leader key. */
export function boundUntilMs({ sinceMs, vouched }: Pick<LinkFacts, 'sinceMs' | 'vouched'>): number {
  return Math.max(sinceMs + VOUCH_MS, vouched?.untilMs ?? Number.NEGATIVE_INFINITY);
}

/** The leader that this member has vouched for, for a time that is not over; null: none. */
export const vouchesFor = ({ o: { nowMs, links } }: Context): string | null => keptLeader(links.vouched, nowMs);

/** Another member that has vouched for a leader other than this node; null: none says so. */
export function otherVouches(c: Context): { readonly name: string; readonly leader: string } | null {
  for (const { name, vouchesFor: leader } of c.o.peers?.values() ?? [])
    if (leader !== undefined && !sameName(leader, c.me)) return { name, leader };
  return null;
}

export const isBound = ({ o }: Context): boolean => o.nowMs < boundUntilMs(o.links);

/**
 * May this member vouch for the leader that it follows, by what it knew at the end of its last
 * round? Only a standby that confirms its commits may: one that has let go of it has voted by that.
 */
export function mayVouch(c: Context): boolean {
  const { sql, fence } = c.o.pg;
  if (c.paused || c.o.job !== null || !c.isStandby || sql === null || fence !== undefined) return false;
  // An operator wants another leader: this one's time must end.
  if (c.view?.failover != null) return false;
  return sql.primaryConninfo !== '';
}

const LEAVES: ReadonlySet<Effect['kind']> = new Set([
  'mark-fence',
  'take-over',
  'take-refused',
  'acquire-leader',
  'apply-config',
  'start-job',
  'demote-now',
]);

/** What is about to be done may break what this member would vouch for. */
export const leavesLeader = (effects: readonly Effect[]): boolean => effects.some(({ kind }) => LEAVES.has(kind));

/** Those whose word lasts as long as that of the last that was needed, or nearly. */
function inForce(latest: ReadonlyArray<readonly [name: string, askedAtMs: number]>, sinceMs: number): readonly string[] {
  return latest
    .filter(([, askedAtMs]) => askedAtMs > sinceMs - VOUCH_MS)
    .map(([name]) => name)
    .sort();
}

type VoterSet = Pick<QuorumFence, 'voters' | 'count'>;

/**
 * The sets that /sync will name by these writes of it, as a leader would be vouched for by them.
 * None can vouch where nobody has to confirm a commit.
 */
export function setsWritten(effects: readonly Effect[]): readonly VoterSet[] {
  return effects.flatMap((effect) => {
    if (effect.kind === 'delete-sync') return [{ voters: [], count: 0 }];
    if (effect.kind !== 'write-sync') return [];
    return [{ voters: effect.standbys, count: effect.standbys.length - effect.quorum }];
  });
}

/**
 * The same of several sets, each of which /sync may name now: whoever may be elected by one of them
 * must be held off.
 */
export function vouchedByAll(sets: readonly VoterSet[], askedAtMs: ReadonlyMap<string, number>): ReturnType<typeof vouchedSince> {
  const words = sets.map((set) => vouchedSince(set, askedAtMs));
  const known = words.filter((word) => word !== null);
  if (known.length < words.length || known.length === 0) return null;
  const by = [...new Set(known.flatMap((word) => word.by))].sort();
  return { sentAtMs: Math.min(...known.map(({ sentAtMs }) => sentAtMs)), by };
}

/**
 * Since when so many voters as a commit waits for have vouched, counted from when they were asked.
 * Null: too few have.
 */
export function vouchedSince(
  { voters, count }: VoterSet,
  askedAtMs: ReadonlyMap<string, number>,
): { readonly sentAtMs: number; readonly by: readonly string[] } | null {
  const latest = [...askedAtMs].filter(([name]) => includes(voters, name)).sort(([, a], [, b]) => b - a);
  const last = count < 1 ? undefined : latest[count - 1];
  return last === undefined ? null : { sentAtMs: last[1], by: inForce(latest, last[1]) };
}
