/** Runs in words: what failed, how to see it again, and the least that still does. */
import type { Plan } from '../../test/sim/plan.ts';
import type { Result } from './protocol.ts';
import type { Shrunk } from './shrink.ts';
import { kindOf } from './tally.ts';

const TAIL = 40;

const indent = (text: string): string => text.replace(/^/gm, '  ');

export const seedCommand = (seed: number): string => `./regent sim --seed ${seed}`;
export const planCommand = (file: string): string =>
  `./regent sim --plan ${/^[\w./-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`}`;

/** A failure in full, with the command that shows it again. */
export function failureText({ plan, described, outcome }: Result): string {
  const parts = [`seed ${plan.seed} failed: ${kindOf(outcome)}`];
  if (described !== '') parts.push(indent(described));
  parts.push(indent(outcome.message));
  if (outcome.tail.length > 0) parts.push('  the end of its trace:', indent(outcome.tail.slice(-TAIL).join('\n')));
  parts.push(`again, with the whole trace: ${seedCommand(plan.seed)}`);
  return parts.join('\n');
}

/** … of a kind that was shown already. */
export function failureLine({ plan, outcome }: Result): string {
  return `seed ${plan.seed} failed: ${kindOf(outcome)}: ${outcome.message.split('\n')[0]?.slice(0, 160)} · ${seedCommand(plan.seed)}`;
}

export function verdictText({ plan, outcome }: Result): string {
  const { verdict, hash, virtualMs, events, acknowledged } = outcome;
  const facts = `${(virtualMs / 1000).toFixed(1)} s of virtual time, ${events} events, ${acknowledged} commits acknowledged, trace ${hash}`;
  return verdict === 'pass'
    ? `seed ${plan.seed} passed: ${facts}`
    : `seed ${plan.seed} failed: ${kindOf(outcome)}: ${outcome.message}\n${facts}`;
}

export function scheduleText({ faults }: Plan): string {
  if (faults.length === 0) return 'no faults at all';
  return faults.map(({ at, kind, args }) => `${(at / 1000).toFixed(3).padStart(9)} s  ${kind} ${JSON.stringify(args)}`).join('\n');
}

export function shrunkText(before: Plan, { plan, runs, minimal }: Shrunk, described: string, file: string): string {
  const least = minimal ? 'none can be left out' : 'the search was cut short';
  return [
    `seed ${before.seed} shortened from ${before.faults.length} faults to ${plan.faults.length} in ${runs} runs (${least}):`,
    indent(described),
    indent(scheduleText(plan)),
    `again, exactly this: ${planCommand(file)}`,
  ].join('\n');
}
