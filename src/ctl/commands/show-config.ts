import type { Ctx } from '../context.ts';
import { existing } from '../members.ts';
import { toYaml } from '../yaml.ts';

export async function run(ctx: Ctx, [name]: readonly string[]): Promise<void> {
  const { config } = await existing(ctx, await ctx.cluster(name));
  if (config) ctx.print(toYaml(config.data));
}
