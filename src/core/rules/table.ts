/**
 * A rule is data: when it applies, what it asks for, and one sentence that says why. Rules stand in
 * sections. The first rule that applies, in the first section that applies and has one, decides the
 * round.
 */
import type { Chore } from '../chores.ts';
import type { Context } from '../context.ts';
import type { Effect } from '../effects.ts';

export interface Outcome {
  /** Each is carried out only if those before it succeeded. */
  readonly effects?: readonly Effect[];
  /** Carried out before the other chores, whatever becomes of the effects. */
  readonly chores?: readonly Chore[];
  /** Run again no later than this many ms from now. */
  readonly wakeInMs?: number;
  /** A change of another member's key is expected, and wakes this node. */
  readonly watchMembers?: boolean;
  /** A change of /status is expected, and wakes this node. */
  readonly watchStatus?: boolean;
  /** This node stays out of the race for a while. */
  readonly abstain?: boolean;
  /** Replaces the rule's sentence where the reason has details. */
  readonly because?: string;
  /** Replaces the rule's id: the row of the table behind the rule that decided. */
  readonly rule?: string;
}

export interface Rule {
  /** Stable; appears in the log, in `regent_last_rule`, in GET /patroni and in docs/rules.md. */
  readonly id: string;
  readonly when: (c: Context) => boolean;
  /** What `when` means, for the drawn table. */
  readonly situation: string;
  readonly ask: (c: Context) => Outcome;
  /** The sentence for the operator; `{me}`, `{scope}` and `{leader}` are filled in. */
  readonly because: string;
  /** A table behind it decides (tables.ts): the id of the row always stands for this one. */
  readonly byTable?: true;
}

export interface Section {
  readonly title: string;
  /** Holds for every rule of the section, so that no rule repeats it. */
  readonly when: (c: Context) => boolean;
  /** What `when` means, for the drawn table. */
  readonly situation: string;
  readonly rules: readonly Rule[];
}

export const nothing: Outcome = {};

export const always = (): boolean => true;

/** The rule that decides the round; null: the tables have a gap. */
export function firstRule(sections: readonly Section[], c: Context): Rule | null {
  for (const section of sections) {
    const rule = section.when(c) ? section.rules.find((candidate) => candidate.when(c)) : undefined;
    if (rule !== undefined) return rule;
  }
  return null;
}

export function say(rule: Rule, outcome: Outcome, c: Context): string {
  const { scope } = c.o.settings.local;
  const named = (outcome.because ?? rule.because).replaceAll('{me}', c.me).replaceAll('{scope}', scope);
  const sentence = named.replaceAll('{leader}', c.otherLeader ?? 'nobody');
  return c.paused ? `PAUSE: ${sentence}` : sentence;
}
