/** What a leader that cannot read etcd concludes from its voters' answers. */
import { sameName } from '../cluster.ts';
import type { Context } from '../context.ts';
import { includes } from '../voters.ts';

/** Answers go missing for this many suspect_after before they count as gone. */
const PATIENCE = 2;
/** An idle leader reads etcd every two seconds, or at once when its voters fall silent. */
export const ETCD_PATIENCE = 3;

function answering({ o }: Context): readonly string[] {
  const sinceMs = o.nowMs - PATIENCE * o.settings.dynamic.suspectAfterMs;
  const voters = o.links.lastFence?.voters ?? [];
  return [...o.links.answers].filter(([name, { atMs }]) => atMs >= sinceMs && includes(voters, name)).map(([name]) => name);
}

/** Fewer voters answer than a commit waits for. */
export function isDeserted(c: Context): boolean {
  const { lastFence } = c.o.links;
  return lastFence !== null && answering(c).length < lastFence.count;
}

/**
 * Neither etcd nor enough voters answer: another may lead by now, and no commit could be
 * acknowledged here. Clients should look elsewhere, long before the lease is over.
 */
export function isIsolated(c: Context): boolean {
  const { lastFence, sinceMs, readAtMs } = c.o.links;
  const { suspectAfterMs } = c.o.settings.dynamic;
  if (lastFence === null || c.paused || c.o.nowMs - readAtMs < ETCD_PATIENCE * suspectAfterMs) return false;
  return c.o.nowMs - sinceMs >= PATIENCE * suspectAfterMs && isDeserted(c);
}

/**
 * The same for long enough to ask the voters for another leader: what this node sends may still
 * reach them. After a standstill of this agent their answers have yet to come.
 */
export function isUnheard(c: Context): boolean {
  const { suspectAfterMs } = c.o.settings.dynamic;
  return c.o.nowMs - c.o.links.resumedAtMs >= ETCD_PATIENCE * suspectAfterMs && isIsolated(c);
}

/**
 * A voter has read from etcd that another member has taken the lead since this one was confirmed in
 * it, and this node cannot read etcd itself. Null: nobody says so.
 */
export function replacedBy(c: Context): string | null {
  const { lastFence, answers } = c.o.links;
  if (c.view !== null || lastFence === null) return null;
  for (const { leader } of answers.values()) {
    if (leader !== null && !sameName(leader.name, c.me) && BigInt(leader.term) > BigInt(lastFence.term)) return leader.name;
  }
  return null;
}
