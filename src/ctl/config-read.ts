/**
 * Waits until the members have applied the configuration that etcd has. Before that, their "pending
 * restart" says nothing about it.
 */
import type { ClusterView, Member } from '../core/cluster.ts';
import { sleep } from '../ports/clock.ts';
import type { Ctx } from './context.ts';
import { warn } from './warn.ts';

/** Agents are woken by the change, and apply it within two rounds. */
const LOOK_MS = 150;
const LOOKS = 33;

/** Waits only for members that run and publish it (Patroni and older Regent versions do not). */
export function isBehind({ raw, state }: Member, revision: string): boolean {
  const told = raw['config_revision'];
  return state === 'running' && typeof told === 'string' && /^\d+$/.test(told) && BigInt(told) < BigInt(revision);
}

/**
 * The first view in which all members have read it. After a few seconds, the last view, with a
 * warning.
 */
export async function untilConfigIsRead(ctx: Ctx, cluster: string, seen?: ClusterView): Promise<ClusterView> {
  const { clock } = ctx.io;
  let view = seen ?? (await ctx.read(cluster));
  for (let looked = 1; ; looked += 1) {
    const revision = view.config?.modRevision ?? '0';
    const behind = view.members.filter((member) => isBehind(member, revision)).map((member) => member.name);
    if (behind.length === 0) return view;
    if (looked >= LOOKS) {
      warn(ctx, `not yet applied by ${behind.join(', ')}: whether it needs a restart is not known`);
      return view;
    }
    await sleep(clock, LOOK_MS);
    view = await ctx.read(cluster);
  }
}
