/**
 * A leader key that was not taken, or a leader that has less than those who are to follow it: what
 * an etcd restored from an older backup leads to.
 */
import type { Context } from '../context.ts';
import { localPosition } from '../divergence.ts';
import { inheritedVerdict } from '../inherited-key.ts';
import type { Outcome } from './table.ts';

const AGAIN_MS = 300;

/**
 * Asks on, or leaves the key to whoever is further, and stays out of the race for as long as that
 * one may need to come up.
 */
export function withInheritedKey(c: Context): Outcome {
  const verdict = inheritedVerdict(c);
  const because = verdict.kind === 'lead' ? 'it is the furthest' : verdict.because;
  if (verdict.kind !== 'beaten')
    return {
      wakeInMs: AGAIN_MS,
      watchMembers: true,
      because: `the leader key names this node, which did not take it; not leading before everybody was asked: ${because}`,
    };
  return {
    effects: [{ kind: 'release-leader', optime: null }],
    abstain: true,
    watchMembers: true,
    because: `releasing the leader key, which names this node from before (etcd was restored from an older backup?): ${because}`,
  };
}

/** Nothing tells which of the two is to stay: that is the operator's to say. */
export function leaderHasLessText(c: Context): string {
  const { scope } = c.o.settings.local;
  return (
    `this node is on timeline ${localPosition(c.o.pg)?.timeline}, and the leader ${c.otherLeader} on ${c.o.source?.timeline}, which has less ` +
    `(was etcd restored from an older backup, or this node promoted by hand while its agent was away?). Nothing is rewound. To keep what this node has: regentctl failover ${scope} --candidate ${c.me}; ` +
    `to throw it away: regentctl reinit ${scope} ${c.me}`
  );
}
