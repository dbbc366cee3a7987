import type { Ctx } from '../context.ts';
import { changeCluster, promotion } from '../standby-cluster.ts';

export function run(ctx: Ctx, [name]: readonly string[], options: { readonly force?: boolean }): Promise<number> {
  return changeCluster(ctx, name, promotion, options.force ?? false);
}
