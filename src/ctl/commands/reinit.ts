import type { Member } from '../../core/cluster.ts';
import { JOB_HEADER } from '../../dialect/own-headers.ts';
import type { Ctx } from '../context.ts';
import { refuse } from '../errors.ts';
import { failureLine, memberRequests, succeeded } from '../member-requests.ts';
import { selectMembers, targetOf } from '../members.ts';
import { awaitReinitialized, type Started } from '../reinit-wait.ts';
import { ownHeader } from '../rest.ts';

export interface ReinitOptions {
  readonly force?: boolean;
  readonly fromLeader?: boolean;
  readonly wait?: boolean;
}

export async function run(ctx: Ctx, words: readonly string[], options: ReinitOptions): Promise<number> {
  const target = await targetOf(ctx, words);
  const force = options.force ?? false;
  const members = await selectMembers(ctx, target, { role: 'replica', force, action: 'reinitialize', confirm: true });
  if (members.length === 0) throw refuse('Name the member to reinitialize: with --force there is no question');
  const rest = await ctx.rest();
  const started: Started[] = [];
  const ask = async (member: Member) => {
    let forced = force;
    for (;;) {
      const body = { force: forced, from_leader: options.fromLeader ?? false };
      const answer = await rest.call(member, 'POST', 'reinitialize', { body });
      if (answer.status === 200) {
        // A member that runs Patroni names none.
        started.push({ member, job: ownHeader(answer, JOB_HEADER) });
        return succeeded(`Success: reinitialize for member ${member.name}`);
      }
      if (forced || !answer.text.endsWith(' already in progress')) return answer;
      ctx.print(failureLine('reinitialize', member, answer));
      if (!(await ctx.prompter.confirm('Do you want to cancel it and reinitialize anyway?'))) return null;
      forced = true;
    }
  };
  const exitCode = await memberRequests(ctx, members, { action: 'reinitialize', ask });
  const allDone = options.wait ? await awaitReinitialized(ctx, rest, started) : true;
  return allDone ? exitCode : 1;
}
