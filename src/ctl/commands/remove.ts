import type { Format } from '../choices.ts';
import { type Ctx, DCS_TIMEOUT_MS } from '../context.ts';
import { refuse } from '../errors.ts';
import { showMembers, warnOfAbsence } from '../members.ts';

const ACKNOWLEDGEMENT = 'Yes I am aware';

/**
 * Deletes all of a cluster's keys in etcd. Its PostgreSQL servers and their data are not touched.
 * Exit code 1: there was no such cluster. Its name was most likely typed wrongly, and the one that
 * was meant is still there.
 */
export async function run(ctx: Ctx, [name]: readonly string[], options: { readonly format: Format }): Promise<number> {
  const cluster = await ctx.cluster(name);
  const view = await ctx.read(cluster);
  await showMembers(ctx, view, cluster, options.format);
  const isAbsent = await warnOfAbsence(ctx, view, cluster);

  const typed = await ctx.prompter.text('Please confirm the cluster name to remove');
  if (typed !== cluster) throw refuse('Cluster names specified do not match');
  const question = `You are about to remove all information in DCS for ${cluster}, please type: "${ACKNOWLEDGEMENT}"`;
  if ((await ctx.prompter.text(question)) !== ACKNOWLEDGEMENT) throw refuse(`You did not exactly type "${ACKNOWLEDGEMENT}"`);
  if (view.leader) {
    const leader = await ctx.prompter.text('This cluster currently is healthy. Please specify the leader name to continue');
    if (leader !== view.leader.name) throw refuse('You did not specify the current leader of the cluster');
  }
  await (await ctx.dcs(cluster)).removeCluster({ timeoutMs: DCS_TIMEOUT_MS });
  return isAbsent ? 1 : 0;
}
