import { memberOf } from '../../core/cluster.ts';
import { sourceOf } from '../../core/context.ts';
import type { RoleChoice } from '../choices.ts';
import type { Ctx } from '../context.ts';
import { refuse } from '../errors.ts';
import { existing, membersByRole, noSuchMember } from '../members.ts';

export async function run(ctx: Ctx, [name]: readonly string[], options: { role?: RoleChoice; member?: string }): Promise<void> {
  if (options.member !== undefined && options.role !== undefined) throw refuse('--role and --member are mutually exclusive options');
  const cluster = await ctx.cluster(name);
  const view = await existing(ctx, cluster);
  if (options.member !== undefined && memberOf(view, options.member) === null) throw noSuchMember(view, cluster, options.member);
  const role = options.role ?? (options.member === undefined ? 'leader' : 'any');
  const member = membersByRole(view, role).find((each) => options.member === undefined || each.name === options.member);
  const address = member && sourceOf(member);
  if (!address) throw refuse('Can not find a suitable member');
  ctx.print(`host=${address.host} port=${address.port}`);
}
