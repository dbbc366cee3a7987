import { clusterBody } from '../../dialect/cluster-body.ts';
import { availability, marked, reasonsOf } from '../availability.ts';
import type { Ctx } from '../context.ts';
import { renderMembers } from '../render/members.ts';
import { type WatchOptions, watching } from '../watch.ts';

export async function run(ctx: Ctx, names: readonly string[], options: WatchOptions & { readonly lsn?: boolean }): Promise<void> {
  const { scope } = await ctx.config();
  const clusters = names.length > 0 ? names : scope ? [scope] : [];
  if (clusters.length === 0) {
    ctx.log.warning('Listing members: No cluster names were provided');
    return;
  }
  await watching(ctx, options, true, async () => {
    const shown: string[] = [];
    for (const cluster of clusters) {
      const view = await ctx.read(cluster);
      const there = await availability(ctx, view);
      const { lsn = false } = options;
      const shape = { cluster, initialize: view.initialize, format: 'topology', extended: false, lsn, notes: reasonsOf(there) } as const;
      shown.push(renderMembers(marked(clusterBody(view, cluster), there), shape));
    }
    return shown.join('\n');
  });
}
