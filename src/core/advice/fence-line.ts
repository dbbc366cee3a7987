/** In two lines: what a failover waits for now, and what follows when a node dies. */
import { type AdviceFacts, withoutBeats } from './facts.ts';
import { faultAdvice } from './faults.ts';
import { outageText } from './outage.ts';
import { seconds } from './words.ts';

export function fenceLine(facts: AdviceFacts): string {
  const { fence } = facts;
  return fence.kind === 'quorum'
    ? `Failover fence: quorum (${fence.needed} of ${fence.voters.join(', ')})`
    : `Failover fence: lease, because ${fence.answer.because}`;
}

/** What that comes to. */
export function deadNodeLine(facts: AdviceFacts): string {
  const dead = faultAdvice(facts).find(({ fault }) => fault === 'node dead');
  if (dead === undefined) return '';
  const outage = outageText(dead.outage);
  return `If the leader’s node dies: no writes ${outage.startsWith('until') ? '' : 'for '}${outage}; acknowledged commits lost: ${dead.loss}`;
}

/** In a synchronous mode, with a member that knows of beats. */
const couldPromise = (facts: AdviceFacts) =>
  facts.isSynchronous && withoutBeats(facts).length < facts.standbys.length + (facts.leader === null ? 0 : 1);

/** What other lines of `list` say already, or the operator has decided. */
const SAID_ELSEWHERE: ReadonlySet<string> = new Set(['lease.asynchronous', 'lease.paused', 'lease.nobody-leads']);

/** Null: nothing that a look at the members and the mode does not tell. */
export function newsOfFence(facts: AdviceFacts): string | null {
  const { fence } = facts;
  if (!couldPromise(facts) || (fence.kind === 'lease' && SAID_ELSEWHERE.has(fence.answer.id))) return null;
  return fenceLine(facts);
}

const MENDABLE: ReadonlySet<string> = new Set(['lease.leader-without-beats', 'lease.voter-without-beats']);

/** Why it is the lease although the settings ask for promises; null: it is as it was asked for. */
export function missedFence(facts: AdviceFacts): string | null {
  const { fence } = facts;
  if (!couldPromise(facts) || fence.kind !== 'lease' || !MENDABLE.has(fence.answer.id)) return null;
  return `a failover waits for the lease, up to ${seconds(facts.ttlSeconds)}: ${fence.answer.because}`;
}
