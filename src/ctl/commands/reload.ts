import type { Member } from '../../core/cluster.ts';
import { NOTE_HEADER } from '../../dialect/own-headers.ts';
import type { RoleChoice } from '../choices.ts';
import type { Ctx } from '../context.ts';
import { failed, memberRequests, succeeded } from '../member-requests.ts';
import { selectMembers, targetOf } from '../members.ts';
import { ownHeader, reasonOf } from '../rest.ts';

const DEFAULT_LOOP_WAIT = 10;

export async function run(ctx: Ctx, words: readonly string[], options: { role: RoleChoice; force?: boolean }): Promise<number> {
  const target = await targetOf(ctx, words);
  const selection = { role: options.role, force: options.force ?? false, action: 'reload', confirm: true };
  const members = await selectMembers(ctx, target, selection);
  const loopWait = target.view.config?.data['loop_wait'] ?? DEFAULT_LOOP_WAIT;
  const rest = await ctx.rest();
  const ask = async (member: Member) => {
    const answer = await rest.call(member, 'POST', 'reload');
    if (answer.status === 200) return succeeded(`No changes to apply on member ${member.name}`);
    if (answer.status === 202) {
      const received = `Reload request received for member ${member.name} and will be processed within ${loopWait} seconds`;
      // A Regent agent also says why it cannot, and which changes of its file a reload does not
      // apply.
      const refusal = reasonOf(answer);
      if (refusal !== null) return failed(`Failed: reload for member ${member.name}, ${refusal}`);
      const note = ownHeader(answer, NOTE_HEADER);
      return succeeded(note === null ? received : `${received}\nMember ${member.name}: ${note}`);
    }
    return answer;
  };
  return memberRequests(ctx, members, { action: 'reload', ask });
}
