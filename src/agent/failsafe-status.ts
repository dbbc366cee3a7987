/** What an agent shows of failsafe mode (core/failsafe.ts). */
import { type Authority, isKeptByFailsafe } from '../core/authority.ts';
import type { FailsafeMap } from '../core/cluster.ts';
import type { Context } from '../core/context.ts';
import { agreedWith } from '../core/failsafe.ts';
import type { FailsafeStatus } from '../ports/agent-status.ts';

export function failsafeStatus(c: Context, authority: Authority, map: FailsafeMap | null): FailsafeStatus {
  const leads = isKeptByFailsafe(authority, c.o.nowMs);
  const standsBy = agreedWith(c) !== null && (c.view === null || c.unlocked);
  return {
    isActive: leads || standsBy,
    isMember: map !== null && Object.hasOwn(map, c.me),
    agreedBy: leads ? (authority.agreed?.by ?? []) : [],
  };
}
