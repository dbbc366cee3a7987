/**
 * Waiting until the members go by the configuration that etcd has: only then does their "pending
 * restart" say something about it.
 */
import type { ClusterView, Member } from '../core/cluster.ts';
import { sleep } from '../ports/clock.ts';
import type { Ctx } from './context.ts';

/** Agents are woken by the change, and apply it within two rounds. */
const LOOK_MS = 150;
const LOOKS = 33;

/** Only whoever tells (no Patroni, no older Regent) and runs is waited for. */
function isBehind({ raw, state }: Member, revision: string): boolean {
  const told = raw['config_revision'];
  return state === 'running' && typeof told === 'string' && /^\d+$/.test(told) && BigInt(told) < BigInt(revision);
}

/** The view in which all have read it, or, after a few seconds, the last one, with a warning. */
export async function untilConfigIsRead(ctx: Ctx, cluster: string, seen?: ClusterView): Promise<ClusterView> {
  const { clock, stderr } = ctx.io;
  let view = seen ?? (await ctx.read(cluster));
  for (let looked = 1; ; looked += 1) {
    const revision = view.config?.modRevision ?? '0';
    const behind = view.members.filter((member) => isBehind(member, revision)).map((member) => member.name);
    if (behind.length === 0) return view;
    if (looked >= LOOKS) {
      stderr.write(`Warning: not taken over yet by ${behind.join(', ')}: whether it needs a restart is not known\n`);
      return view;
    }
    await sleep(clock, LOOK_MS);
    view = await ctx.read(cluster);
  }
}
