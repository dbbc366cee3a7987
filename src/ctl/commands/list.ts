import { adviceFacts } from '../../core/advice/facts.ts';
import { newsOfFence } from '../../core/advice/fence-line.ts';
import type { ClusterView } from '../../core/cluster.ts';
import { clusterBody } from '../../dialect/cluster-body.ts';
import { availability, marked, reasonsOf } from '../availability.ts';
import type { Format } from '../choices.ts';
import type { Ctx } from '../context.ts';
import { dynamicOf } from '../dynamic-of.ts';
import { renderMembers } from '../render/members.ts';
import { localTime } from '../time.ts';
import { type WatchOptions, watching } from '../watch.ts';

export interface ListOptions extends WatchOptions {
  readonly extended?: boolean;
  readonly timestamp?: boolean;
  readonly lsn?: boolean;
  readonly format: Format;
}

export async function run(ctx: Ctx, names: readonly string[], options: ListOptions): Promise<void> {
  const { scope } = await ctx.config();
  const clusters = names.length > 0 ? names : scope ? [scope] : [];
  if (clusters.length === 0) {
    ctx.log.warning('Listing members: No cluster names were provided');
    return;
  }
  await watching(ctx, options, true, async () => {
    const shown = options.timestamp ? [localTime(ctx.io.clock.wallMs(), 0)] : [];
    for (const cluster of clusters) {
      const view = await ctx.read(cluster);
      const there = await availability(ctx, view);
      const { format, extended = false, lsn = false } = options;
      const notes = [...reasonsOf(there), ...strangersOf(view), ...fenceNote(view)];
      const shape = { cluster, initialize: view.initialize, format, extended, lsn, notes };
      shown.push(renderMembers(marked(clusterBody(view, cluster), there), shape));
    }
    return shown.join('\n');
  });
}

function fenceNote(view: ClusterView): readonly string[] {
  const news = newsOfFence(adviceFacts(view, dynamicOf(view)));
  return news === null ? [] : [` ${news}`];
}

/** What the leader has published about servers that stream from it under the names of members. */
function strangersOf(view: ClusterView): readonly string[] {
  return view.members.flatMap(({ name, raw: { strangers } }) =>
    Array.isArray(strangers) ? strangers.map((text) => ` ${name}: ${text}`) : [],
  );
}
