import type { Member } from '../../core/cluster.ts';
import type { RoleChoice } from '../choices.ts';
import { type Ctx, DCS_TIMEOUT_MS, leaderFirst, noAnswer } from '../context.ts';
import { CtlError } from '../errors.ts';
import { memberRequests, succeeded } from '../member-requests.ts';
import { selectMembers, type Target, targetOf } from '../members.ts';
import { localTime } from '../time.ts';

export async function run(ctx: Ctx, words: readonly string[], options: { role: RoleChoice; force?: boolean }): Promise<number> {
  const event = words.at(-1);
  const target = await targetOf(ctx, words.slice(0, -1));
  return event === 'restart' ? flushRestart(ctx, target, options) : flushSwitchover(ctx, target);
}

async function flushRestart(ctx: Ctx, target: Target, options: { role: RoleChoice; force?: boolean }): Promise<number> {
  const selection = { role: options.role, force: options.force ?? false, action: 'flush', confirm: true };
  const members = await selectMembers(ctx, target, selection);
  const rest = await ctx.rest();
  const ask = async (member: Member) => {
    if (!member.scheduledRestart) return succeeded(`No scheduled restart for member ${member.name}`);
    const answer = await rest.call(member, 'DELETE', 'restart');
    return answer.status === 200 ? succeeded(`Success: flush scheduled restart for member ${member.name}`) : answer;
  };
  return memberRequests(ctx, members, { action: 'flush scheduled restart', ask });
}

async function flushSwitchover(ctx: Ctx, { view, cluster }: Target): Promise<number> {
  if (view.failover?.scheduledAt == null) {
    ctx.print('No pending scheduled switchover');
    return 0;
  }
  const rest = await ctx.rest();
  for (const member of leaderFirst(view)) {
    try {
      const answer = await rest.call(member, 'DELETE', 'switchover');
      if (answer.status === 200 || answer.status === 404) {
        ctx.print(`${answer.status === 200 ? 'Success' : 'Failed'}: ${answer.text}`);
        return answer.status === 200 ? 0 : 1;
      }
      ctx.print(`Failed: member=${member.name}, status_code=${answer.status}, (${answer.text})`);
    } catch (error) {
      if (!noAnswer(error)) throw error;
      ctx.log.warning(error.message);
    }
  }
  ctx.print(`${localTime(ctx.io.clock.wallMs(), 5)} Could not find any accessible member of cluster ${cluster}`);
  if (await (await ctx.dcs(cluster)).writeFailover(null, view.failover, { timeoutMs: DCS_TIMEOUT_MS })) return 0;
  throw new CtlError('CTL_CONFLICT', 'somebody changed the switchover at the same moment', 'Check it with list.');
}
