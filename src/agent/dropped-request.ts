/**
 * Why this agent dropped an operator's last request (the failover key): the operator waits for the
 * reason over REST.
 */
import type { Decision } from '../core/model.ts';
import type { DroppedRequest } from '../ports/operator.ts';

/** The rules begin their sentences with these words, which say no more than the answer itself. */
const OBVIOUS = /^(PAUSE: )?((switchover|failover) (failed|is not possible): )?/;

/** null: this round dropped none. */
export function droppedRequest(decision: Decision, atMs: number): DroppedRequest | null {
  if (!decision.effects.some((effect) => effect.kind === 'clear-failover')) return null;
  const because =
    decision.rule === 'standby.promote' ? 'no other member took the leader key in time' : decision.because.replace(OBVIOUS, '');
  return { because, atMs };
}
