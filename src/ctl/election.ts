/** What an election waits for, by the members that answer now. */
import { type Election, electionOf } from '../core/advice/election.ts';
import type { ClusterView } from '../core/cluster.ts';
import { availability } from './availability.ts';
import type { Ctx } from './context.ts';
import { dynamicOf } from './dynamic-of.ts';

/** Null: the leader answers. A member may have died although its key in etcd is still there. */
export async function electionNow(ctx: Ctx, view: ClusterView): Promise<Election | null> {
  const { unreachable } = await availability(ctx, view);
  const isThere = (name: string) => view.members.some((member) => member.name === name) && !unreachable.has(name);
  if (view.leader !== null && isThere(view.leader.name)) return null;
  return electionOf(view, dynamicOf(view), ({ name, state }) => isThere(name) && state === 'running');
}
