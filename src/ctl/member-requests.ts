/** The same request to several members, one after the other: one that fails or does not answer does not keep the others from being asked. */
import type { Member } from '../core/cluster.ts';
import { type Ctx, noAnswer } from './context.ts';
import type { RestAnswer } from './rest.ts';

/**
 * `ask` returns the line to print, or an answer that means failure.
 * Exit code 0 even when a member refused, as patronictl's; 1 when one could not be asked at all.
 */
export async function memberRequests(
  ctx: Ctx,
  members: readonly Member[],
  action: string,
  ask: (member: Member) => Promise<string | RestAnswer>,
): Promise<number> {
  let exitCode = 0;
  for (const member of members) {
    try {
      const outcome = await ask(member);
      ctx.print(typeof outcome === 'string' ? outcome : failureLine(action, member, outcome));
    } catch (error) {
      if (!noAnswer(error)) throw error;
      ctx.print(`Failed: ${action} for member ${member.name}, ${error.message}`);
      exitCode = 1;
    }
  }
  return exitCode;
}

export function failureLine(action: string, member: Member, answer: RestAnswer): string {
  return `Failed: ${action} for member ${member.name}, status code=${answer.status}, (${answer.text})`;
}
