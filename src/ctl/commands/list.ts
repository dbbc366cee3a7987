import { adviceFacts } from '../../core/advice/facts.ts';
import { newsOfFence } from '../../core/advice/fence-line.ts';
import { standbyClusterLine } from '../../core/advice/standby-line.ts';
import type { ClusterView } from '../../core/cluster.ts';
import { isMachine, type MembersFormat } from '../choices.ts';
import type { Ctx } from '../context.ts';
import { dynamicOf } from '../dynamic-of.ts';
import { renderMembers } from '../render/members.ts';
import { shownCluster } from '../shown-cluster.ts';
import { localTime } from '../time.ts';
import { type WatchOptions, watching } from '../watch.ts';

export interface ListOptions extends WatchOptions {
  readonly extended?: boolean;
  readonly timestamp?: boolean;
  readonly lsn?: boolean;
  readonly unavailable?: boolean;
  readonly format: MembersFormat;
}

/** Exit code 1: one of them does not exist. */
export async function run(ctx: Ctx, names: readonly string[], options: ListOptions): Promise<number> {
  const { scope } = await ctx.config();
  const clusters = names.length > 0 ? names : scope ? [scope] : [];
  if (clusters.length === 0) {
    ctx.log.warning('Listing members: No cluster names were provided');
    return 0;
  }
  const { format, extended = false } = options;
  const forPeople = !isMachine(format);
  const [group, lsn] = await Promise.all([ctx.group(), ctx.showsLsn(options.lsn, format)]);
  let exitCode = 0;
  await watching(ctx, options, true, async () => {
    const text = options.timestamp ? [localTime(ctx.io.clock.wallMs(), 0)] : [];
    const asides: string[] = [];
    exitCode = 0;
    for (const cluster of clusters) {
      const shown = await shownCluster(ctx, cluster, forPeople || options.unavailable === true);
      const { view, body, aside } = shown;
      const notes = [
        ...shown.notes,
        ...(format === 'pretty' ? [...strangersOf(view), ...standbyNote(ctx, view, cluster), ...fenceNote(view)] : []),
      ];
      text.push(renderMembers(body, { cluster, initialize: view.initialize, group, format, extended, lsn, notes }));
      if (aside !== null) asides.push(aside);
      if (!shown.exists) exitCode = 1;
    }
    return { text: text.join('\n'), aside: asides.join('\n') };
  });
  return exitCode;
}

/** Nothing is wrong with such a cluster, so `patronictl list` prints what Patroni's prints. */
function standbyNote(ctx: Ctx, view: ClusterView, cluster: string): readonly string[] {
  if (ctx.program === 'patronictl') return [];
  const line = standbyClusterLine(view, dynamicOf(view), cluster, ctx.called);
  return line === null ? [] : [` ${line}`];
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
