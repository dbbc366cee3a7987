import { type ClusterView, memberOf } from '../../core/cluster.ts';
import { sourceOf } from '../../core/member-source.ts';
import type { RoleChoice } from '../choices.ts';
import type { Ctx } from '../context.ts';
import { refuse } from '../errors.ts';
import { membersByRole, refuseFor, strangerText } from '../members.ts';

export async function run(ctx: Ctx, [name]: readonly string[], options: { role?: RoleChoice; member?: string }): Promise<void> {
  if (options.member !== undefined && options.role !== undefined) throw refuse('--role and --member are mutually exclusive options');
  const cluster = await ctx.cluster(name);
  const view = await ctx.read(cluster);
  const role = options.role ?? (options.member === undefined ? 'leader' : 'any');
  const member = membersByRole(view, role).find((each) => options.member === undefined || each.name === options.member);
  const address = member && sourceOf(member);
  if (!address) throw await refuseFor(ctx, view, cluster, 'Can not find a suitable member', stranger(view, cluster, options.member));
  ctx.print(`host=${address.host} port=${address.port}`);
}

function stranger(view: ClusterView, cluster: string, name: string | undefined): string | undefined {
  return name === undefined || memberOf(view, name) !== null ? undefined : strangerText(view, cluster, name);
}
