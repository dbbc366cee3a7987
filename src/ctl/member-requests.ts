/**
 * Sends the same request to several members, one after the other, and reports whether each of them
 * did what was asked.
 */
import type { Member } from '../core/cluster.ts';
import { type Ctx, noAnswer } from './context.ts';
import { type RestAnswer, said } from './rest.ts';

/** The result of one request, in one line. */
export interface Told {
  readonly ok: boolean;
  readonly line: string;
}

export const succeeded = (line: string): Told => ({ ok: true, line });
export const failed = (line: string): Told => ({ ok: false, line });

export interface MemberRequest {
  /** As the lines name it: `reload`. */
  readonly action: string;
  /**
   * An answer that is returned unchanged means failure. So does null, where that is said already.
   */
  readonly ask: (member: Member) => Promise<Told | RestAnswer | null>;
  /**
   * If set, no further member is asked after the first failure, and this line is printed. If not,
   * the others are still asked.
   */
  readonly brake?: (left: readonly Member[]) => string;
}

/**
 * Exit code 0: all members did it. Exit code 1: at least one did not. Patronictl exits with 0
 * whenever it gets an answer, and scripts read that as success.
 */
export async function memberRequests(ctx: Ctx, members: readonly Member[], { action, ask, brake }: MemberRequest): Promise<number> {
  let exitCode = 0;
  for (const [index, member] of members.entries()) {
    const told = await toldBy(member, action, ask);
    if (told !== null) ctx.print(told.line);
    if (told?.ok) continue;
    exitCode = 1;
    const left = members.slice(index + 1);
    if (brake === undefined || left.length === 0) continue;
    ctx.print(brake(left));
    break;
  }
  return exitCode;
}

async function toldBy(member: Member, action: string, ask: MemberRequest['ask']): Promise<Told | null> {
  try {
    const outcome = await ask(member);
    return outcome === null || 'ok' in outcome ? outcome : failed(failureLine(action, member, outcome));
  } catch (error) {
    if (!noAnswer(error)) throw error;
    return failed(`Failed: ${action} for member ${member.name}, ${error.message}`);
  }
}

export function failureLine(action: string, member: Member, answer: RestAnswer): string {
  return `Failed: ${action} for member ${member.name}, status code=${answer.status}, (${said(answer)})`;
}
