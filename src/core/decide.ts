/** One round's decision. Pure: the same observation and memory give the same answer. */
import { invariant } from '../support/assert.ts';
import { admit, nobodyWaits } from './admission.ts';
import { untoldWhileDown } from './callbacks.ts';
import { type Chore, stillWanted } from './chores.ts';
import { type Context, contextOf } from './context.ts';
import type { Effect } from './effects.ts';
import { abstainMs } from './failed-promotions.ts';
import { chores, due } from './housekeeping.ts';
import { checkDecision } from './invariants.ts';
import { leadAfter, TAKES_KEY } from './lead-change.ts';
import type { Decision, Memory, Observation } from './model.ts';
import { remember } from './remember.ts';
import { sections } from './rules/index.ts';
import { firstRule, type Outcome, say } from './rules/table.ts';
import { marksByHand } from './strays.ts';

/**
 * After one of these the node's role is about to change, so nothing else may be touched in the same
 * round.
 */
const decisive: ReadonlySet<Effect['kind']> = new Set([
  'demote-now',
  'exit',
  'release-leader',
  'acquire-leader',
  'attach-leader',
  'cancel-job',
  'mark-fence',
  'take-over',
  'take-refused',
]);

/** What the agent saw of the data is as true after it. */
const leavesData = (effect: Effect): boolean =>
  effect.kind === 'cancel-job' || effect.kind === 'demote-now' || (effect.kind === 'start-job' && effect.job.kind === 'start');

export function decide(o: Observation, before: Memory): Decision {
  const memory = remember(o, before);
  const c = contextOf(o, memory);
  const rule = firstRule(sections, c);
  invariant(rule !== null, `no rule for this situation: ${describe(o)}`);
  const outcome = rule.ask(c);
  const steps = outcome.effects ?? [];
  const turning = steps.some((effect) => decisive.has(effect.kind) || effect.kind === 'start-job');
  const work = turning ? null : chores(c);
  // A job may begin at once to replace the data that a mark is about. A demotion leaves them alone,
  // and what the agent saw before it must outlive the agent. A start also takes the evidence away.
  const marks = turning && !steps.every(leavesData) ? [] : marksByHand(c);
  const admission = turning ? nobodyWaits : admit(c);
  const told = turning ? [] : untoldWhileDown(c);
  const wanted: readonly Chore[] = [...(outcome.chores ?? []), ...marks, ...told, ...admission.chores, ...(work?.wanted ?? [])];
  const { now, wakeInMs } = due(c, wanted);
  const effects = [...steps, ...now.flatMap((chore) => chore.effects)];
  const waits = [outcome.wakeInMs, work?.wakeInMs, admission.wakeInMs, wakeInMs].filter(
    (ms): ms is number => ms !== undefined && ms !== null,
  );
  const because = say(rule, outcome, c);
  const decision: Decision = {
    rule: outcome.rule ?? rule.id,
    because,
    effects,
    steps,
    chores: now,
    memory: afterwards(
      c,
      outcome,
      work?.wanted == null ? memory : { ...memory, chores: stillWanted(memory.chores, wanted) },
      effects,
      because,
    ),
    wakeAtMs: waits.length === 0 ? null : o.nowMs + Math.min(...waits),
    watchMembers: (outcome.watchMembers ?? false) || (work?.watchMembers ?? false),
    watchStatus: outcome.watchStatus ?? false,
  };
  checkDecision(c, decision);
  return decision;
}

/** As the effects leave it. */
function afterwards(c: Context, { abstain }: Outcome, memory: Memory, effects: readonly Effect[], because: string): Memory {
  const { o } = c;
  let after = abstain ? { ...memory, abstainUntilMs: o.nowMs + abstainMs(o.settings.dynamic) } : memory;
  const { leadReason, steppedDown } = leadAfter(c, because, effects);
  if (leadReason !== memory.leadReason || steppedDown !== memory.steppedDown) after = { ...after, leadReason, steppedDown };
  for (const effect of effects) {
    // A server that is down in the next round did not crash then. One that outlives every stop is
    // not shown as stopping for ever.
    if (effect.kind === 'demote-now' && after.state !== 'stop failed') after = { ...after, state: 'stopping' };
    // The answer may be lost; the next reading of etcd tells whether the key was taken.
    if (TAKES_KEY.has(effect.kind)) after = { ...after, keyTaken: true };
  }
  return after;
}

function describe(o: Observation): string {
  return `dcs ${o.dcs.known ? 'known' : 'unknown'}, PostgreSQL ${o.pg.state}, data directory ${o.pg.dataDir}, job ${o.job?.job.kind ?? 'none'}`;
}
