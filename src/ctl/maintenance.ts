/** pause and resume: one flag in the dynamic configuration, set through any member's REST API. */
import type { ClusterView } from '../core/cluster.ts';
import { clusterModes } from '../core/cluster-modes.ts';
import { availability } from './availability.ts';
import { type Ctx, leaderFirst, noAnswer } from './context.ts';
import { refuseFor } from './members.ts';

const POLL_MS = 1_000;
const DEFAULT_LOOP_WAIT = 10;

export async function setPause(ctx: Ctx, named: string | undefined, pause: boolean, wait: boolean): Promise<number> {
  const cluster = await ctx.cluster(named);
  const view = await ctx.read(cluster);
  if (clusterModes(view).paused === pause) throw await refuseFor(ctx, view, cluster, `Cluster is ${pause ? 'already' : 'not'} paused`);
  if (!pause) await warnOfUnguarded(ctx, view);
  const rest = await ctx.rest();
  for (const member of leaderFirst(view)) {
    try {
      const answer = await rest.call(member, 'PATCH', 'config', { body: { pause: pause || null } });
      if (answer.status !== 200) {
        ctx.print(`Failed: ${pause ? 'pause' : 'resume'} cluster management status code=${answer.status}, (${answer.text})`);
        return 1;
      }
      if (wait) return (await recognised(ctx, cluster, view, pause)) ? 0 : 1;
      ctx.print(success(pause));
      return 0;
    } catch (error) {
      if (!noAnswer(error)) throw error;
      ctx.log.warning(error.message);
    }
  }
  throw await refuseFor(ctx, view, cluster, 'Can not find accessible cluster member');
}

/** An agent that died during the pause left its PostgreSQL running, and no guard will stop it. */
async function warnOfUnguarded(ctx: Ctx, view: ClusterView): Promise<void> {
  const { unreachable, absent } = await availability(ctx, view);
  for (const name of [...unreachable.keys(), ...absent])
    ctx.log.warning(
      `${name} is unavailable: if its PostgreSQL still runs as a primary, nothing stops it when another member is promoted now. Start its agent, or stop that PostgreSQL`,
    );
}

/** Waits until all members have applied it. */
async function recognised(ctx: Ctx, cluster: string, before: ClusterView, pause: boolean): Promise<boolean> {
  ctx.print(`'${pause ? 'pause' : 'resume'}' request sent, waiting until it is recognized by all nodes`);
  const loopWait = Number(before.config?.data['loop_wait'] ?? DEFAULT_LOOP_WAIT);
  const asked = new Set(before.members.filter((member) => member.apiUrl !== null).map((member) => member.name));
  const deadline = ctx.io.clock.monotonicMs() + (loopWait + 1) * 1000;
  for (;;) {
    const view = await ctx.read(cluster);
    const behind = view.members.filter((member) => asked.has(member.name) && member.pause !== pause).map((member) => member.name);
    if (behind.length === 0) break;
    if (ctx.io.clock.monotonicMs() >= deadline) {
      ctx.print(`${behind.join(', ')} members didn't recognized pause state after ${loopWait} seconds`);
      return false;
    }
    await ctx.wait(POLL_MS);
  }
  ctx.print(success(pause));
  return true;
}

function success(pause: boolean): string {
  return `Success: cluster management is ${pause ? 'paused' : 'resumed'}`;
}
