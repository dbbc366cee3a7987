/** What an agent shows of failsafe mode (core/failsafe.ts). */
import { type Authority, isKeptByFailsafe } from '../core/authority.ts';
import type { FailsafeMap } from '../core/cluster.ts';
import type { Context } from '../core/context.ts';
import type { FailsafeStatus } from '../ports/agent-status.ts';

export function failsafeStatus(c: Context, authority: Authority, map: FailsafeMap | null): FailsafeStatus {
  const { nowMs, links } = c.o;
  const leads = isKeptByFailsafe(authority, nowMs);
  const standsBy = links.agreed !== null && nowMs < links.agreed.untilMs && (c.view === null || c.unlocked);
  return {
    isActive: leads || standsBy,
    isMember: map !== null && Object.hasOwn(map, c.me),
    agreedBy: leads ? (authority.agreed?.by ?? []) : [],
  };
}
