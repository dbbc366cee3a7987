/**
 * Waits for the result of a request that was written into etcd because no member could be reached.
 */
import { type ClusterView, type MemberRole, memberOf } from '../core/cluster.ts';
import { onlyOutage } from '../support/errors.ts';
import type { Ctx } from './context.ts';
import { failed, succeeded, type Told } from './member-requests.ts';

const DEFAULT_LOOP_WAIT = 10;
const POLL_MS = 500;
const LEADING: ReadonlySet<string> = new Set<MemberRole>(['primary', 'standby_leader']);

/** How long the tool waits for a switchover: twice the longer of ten seconds and loop_wait. */
export function outcomeMs(view: ClusterView): number {
  const loopWait = Number(view.config?.data['loop_wait'] ?? DEFAULT_LOOP_WAIT);
  return 2000 * Math.max(10, Number.isFinite(loopWait) ? loopWait : DEFAULT_LOOP_WAIT);
}

export interface AskedRequest {
  readonly action: 'switchover' | 'failover';
  readonly cluster: string;
  /** The leader before the request. */
  readonly before: ClusterView;
  readonly candidate: string | null;
}

export async function awaitRequest(ctx: Ctx, { action, cluster, before, candidate }: AskedRequest): Promise<Told> {
  const [title, past] = action === 'switchover' ? ['Switchover', 'switched'] : ['Failover', 'failed'];
  const { clock } = ctx.io;
  const waitMs = outcomeMs(before);
  const deadlineMs = clock.monotonicMs() + waitMs;
  const old = before.leader?.name ?? null;
  while (clock.monotonicMs() < deadlineMs) {
    await ctx.wait(POLL_MS);
    const view = await ctx.read(cluster).catch(onlyOutage);
    const now = view?.leader?.name ?? null;
    if (view === null || now === null) continue;
    if (now !== old && LEADING.has(memberOf(view, now)?.role ?? '')) {
      return candidate === null || candidate === now
        ? succeeded(`Successfully ${past} over to "${now}"`)
        : failed(`${title} failed: "${now}" leads now, not "${candidate}"`);
    }
    if (now === old && view.failover === null) return failed(`${title} failed: the log of ${now} says why`);
  }
  return failed(`${title} result unknown after ${waitMs / 1000} seconds; the request is still in etcd and may be carried out later`);
}
