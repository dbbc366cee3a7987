/**
 * A cluster as `list` and `topology` show it, with what a person should know besides: below the
 * table, or on standard error where the table has to stay as patronictl draws it.
 */
import type { ClusterView } from '../core/cluster.ts';
import { clusterModes } from '../core/cluster-modes.ts';
import type { JsonObject } from '../support/json.ts';
import { availability, marked, reasonsOf } from './availability.ts';
import type { Ctx } from './context.ts';
import { absenceOf, isStray, patroniBody, shownBody } from './members.ts';

export interface ShownCluster {
  readonly view: ClusterView;
  readonly body: JsonObject;
  /** Lines below a table for people. */
  readonly notes: readonly string[];
  /** For standard error. Null: nothing is the matter. */
  readonly aside: string | null;
  /** False: etcd has no keys of it. */
  readonly exists: boolean;
}

/** `isProbed`: members that do not answer are looked for, and shown in our own words. */
export async function shownCluster(ctx: Ctx, cluster: string, isProbed: boolean): Promise<ShownCluster> {
  const view = await ctx.read(cluster);
  const absence = await absenceOf(ctx, view, cluster);
  const common = { view, aside: absence ?? withoutLeader(view, cluster), exists: absence === null };
  if (!isProbed) return { ...common, body: patroniBody(view, cluster), notes: [] };
  const there = await availability(ctx, view);
  return { ...common, body: marked(shownBody(view, cluster), there), notes: reasonsOf(there) };
}

function withoutLeader(view: ClusterView, cluster: string): string | null {
  if (view.leader !== null) return null;
  const strays = view.members.filter((member) => isStray(view, member)).map(({ name }) => `; ${name} says that it runs as a primary`);
  const paused = clusterModes(view).paused ? '; it is paused, so nobody is elected' : '';
  return `Cluster ${cluster} has no leader: nobody holds the leader key${paused}${strays.join('')}`;
}
