/**
 * Why the last request of an operator (the failover key) was dropped by this agent: who asked over
 * REST waits for the reason.
 */
import type { Decision } from '../core/model.ts';
import type { DroppedRequest } from '../ports/operator.ts';

/** What the rules begin their sentences with says no more than the answer itself. */
const OBVIOUS = /^(PAUSE: )?((switchover|failover) (failed|is not possible): )?/;

/** null: this round dropped none. */
export function droppedRequest(decision: Decision, atMs: number): DroppedRequest | null {
  if (!decision.effects.some((effect) => effect.kind === 'clear-failover')) return null;
  const because =
    decision.rule === 'standby.promote' ? 'no other member took the leader key in time' : decision.because.replace(OBVIOUS, '');
  return { because, atMs };
}
