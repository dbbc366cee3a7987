/**
 * demote-cluster and promote-cluster: the setting `standby_cluster`, changed through the leader's
 * REST API, and a look at what becomes of it.
 */
import { type ClusterView, type Member, memberOf } from '../core/cluster.ts';
import { clusterModes } from '../core/cluster-modes.ts';
import { onlyOutage } from '../support/errors.ts';
import type { JsonObject } from '../support/json.ts';
import { isBehind } from './config-read.ts';
import { type Ctx, leaderMember } from './context.ts';
import { refuse } from './errors.ts';
import { refuseFor, showMembers } from './members.ts';
import { standbyWarnings, wayBack } from './standby-warnings.ts';
import { localTime } from './time.ts';
import { warn } from './warn.ts';

const POLL_MS = 1000;

interface Change {
  readonly verb: 'demote' | 'promote';
  readonly noun: 'demotion' | 'promotion';
  /** The leader's, once it is done. */
  readonly role: Member['role'];
  readonly patch: JsonObject | null;
}

export const promotion: Change = { verb: 'promote', noun: 'promotion', role: 'primary', patch: null };

export const demotion = (patch: JsonObject): Change => ({ verb: 'demote', noun: 'demotion', role: 'standby_leader', patch });

export async function changeCluster(ctx: Ctx, named: string | undefined, change: Change, force: boolean): Promise<number> {
  const { verb, noun, role, patch } = change;
  const cluster = await ctx.cluster(named);
  const view = await ctx.read(cluster);
  const leader = leaderMember(view);
  if (leader === null) throw await refuseFor(ctx, view, cluster, `Cluster has no leader, ${noun} is not possible`);
  // The key of a leader that is down, or about to obey, still tells the role that it had.
  const isWanted = clusterModes(view).standbyCluster === (verb === 'demote');
  if (isWanted && leader.role === role) throw refuse('Cluster is already in the required state');
  ctx.print('Current cluster topology');
  await showMembers(ctx, view, cluster);
  const before = view.config?.data['standby_cluster'];
  for (const line of await standbyWarnings(ctx, view, { before, after: patch ?? undefined })) warn(ctx, line);
  if (!force && !(await ctx.prompter.confirm(`Are you sure you want to ${verb} ${cluster} cluster?`)))
    throw refuse(`Aborted cluster ${noun}`);
  const rest = await ctx.rest();
  const answer = await rest.call(leader, 'PATCH', 'config', { body: { standby_cluster: patch } });
  // Patroni says it twice.
  const failed = `Failed to ${verb} ${cluster} cluster: `;
  if (answer.status !== 200) throw refuse(`${failed}${failed}/config PATCH status code=${answer.status}, (${answer.text})`);
  await watch(ctx, cluster, change, leader.name);
  const after = await ctx.read(cluster);
  await showMembers(ctx, after, cluster);
  const back = wayBack(ctx, cluster, after.config?.data ?? {});
  if (back !== null) ctx.io.stderr.write(`${back}\n`);
  return 0;
}

/**
 * Until it is done or the operator has seen enough: a checkpoint or a rewind takes what it takes.
 */
async function watch(ctx: Ctx, cluster: string, { verb, role }: Change, former: string): Promise<void> {
  const stamp = () => localTime(ctx.io.clock.wallMs(), 0);
  for (;;) {
    const view = await ctx.read(cluster).catch(onlyOutage);
    if (view !== null) {
      const leader = leaderMember(view);
      const before = memberOf(view, former);
      const isBack = verb === 'promote' || before?.state === 'running';
      // A role from before the leader has read the change proves nothing.
      const hasRead = leader !== null && !isBehind(leader, view.config?.modRevision ?? '0');
      const refusal = verb === 'demote' && hasRead ? leader.raw['standby_cluster_refused'] : undefined;
      if (refusal !== undefined) throw refuse(`${leader?.name} is ${String(refusal)}`);
      if (hasRead && leader.role === role && leader.state === 'running' && isBack) break;
      ctx.print(`${stamp()} ${describe(view, leader, verb === 'demote' && leader?.name !== former ? before : null)}`);
    }
    await ctx.wait(POLL_MS);
  }
  ctx.print(`${stamp()} cluster is successfully ${verb}d`);
}

function describe(view: ClusterView, leader: Member | null, before: Member | null): string {
  const unlocked = view.leader === null ? 'True' : 'False';
  const told = `cluster is unlocked: ${unlocked}, leader role: ${leader?.role ?? 'None'}, leader state: ${leader?.state ?? 'None'}`;
  return before === null ? told : `${told}, previous leader state: '${before.state}'`;
}
