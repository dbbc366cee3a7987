/**
 * A rule is data: when it applies, what it asks for, and one sentence why. The first that applies
 * wins.
 */
import type { Chore } from '../chores.ts';
import type { Context } from '../context.ts';
import type { Effect, JobKind } from '../effects.ts';

export interface Outcome {
  /** Each judged on the success of those before it. */
  readonly effects?: readonly Effect[];
  /** What stands for itself, before the other chores. */
  readonly chores?: readonly Chore[];
  /** Run again no later than this many ms from now. */
  readonly wakeInMs?: number;
  /** Something is expected of other members. */
  readonly watchMembers?: boolean;
  /** The key is left to the others for a while. */
  readonly abstain?: boolean;
  /** Replaces the rule's sentence where the reason has details. */
  readonly because?: string;
}

export interface Rule {
  /** Stable; appears in logs, in `regentctl explain`, in docs/rules.md. */
  readonly id: string;
  readonly when: (c: Context) => boolean;
  /** What `when` means, for the drawn table. */
  readonly situation: string;
  readonly ask: (c: Context) => Outcome;
  /** The sentence for the operator; `{me}`, `{scope}` and `{leader}` are filled in. */
  readonly because: string;
}

export const nothing: Outcome = {};

export function say(rule: Rule, outcome: Outcome, c: Context): string {
  const { scope } = c.o.settings.local;
  const named = (outcome.because ?? rule.because).replaceAll('{me}', c.me).replaceAll('{scope}', scope);
  const sentence = named.replaceAll('{leader}', c.otherLeader ?? 'nobody');
  return c.paused ? `PAUSE: ${sentence}` : sentence;
}

/**
 * How long to wait after `count` failures in a row: doubling from one second, half a minute at
 * most.
 */
export function backoffMs(count: number): number {
  return Math.min(30_000, 1000 * 2 ** Math.max(0, count - 1));
}

/** It did a moment ago, and the others are to have their turn. */
export function promotionFailed(c: Context): boolean {
  if (c.m.failures.promote === undefined) return false;
  return holdOffMs(c, 'promote') > 0 || (c.m.abstainUntilMs !== null && c.o.nowMs < c.m.abstainUntilMs);
}

/**
 * It failed with other settings than those in force now, and these may be the mend. A promotion and
 * a handover are about other members' turn as well.
 */
function settingsChanged(c: Context, kind: JobKind): boolean {
  if (kind === 'promote' || kind === 'handover') return false;
  const [then, now] = [c.m.failures[kind]?.configVersion, c.o.configVersion];
  return then !== undefined && now !== undefined && then !== now;
}

/** Milliseconds still to wait before a kind of job that failed may be tried again; 0: now. */
export function holdOffMs(
  c: Context,
  kind: 'start' | 'clone' | 'bootstrap' | 'rewind' | 'promote' | 'restart' | 'reinitialize' | 'handover',
): number {
  const failure = c.m.failures[kind];
  if (failure === undefined || settingsChanged(c, kind)) return 0;
  return Math.max(0, failure.lastAtMs + backoffMs(failure.count) - c.o.nowMs);
}
