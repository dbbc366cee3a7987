/** What an agent shows of beats, promises and vouchers (core/quorum/). */
import { type Authority, isVouchedFor } from '../core/authority.ts';
import type { Context } from '../core/context.ts';
import { watched } from '../core/quorum/suspicion.ts';
import type { QuorumStatus } from '../ports/agent-status.ts';

export function quorumStatus(c: Context, authority: Authority, nowMs: number): QuorumStatus {
  const { fence } = c.o.pg;
  const suspicion = watched(c)?.suspicion;
  return {
    isDcsAway: c.view === null,
    vouchedForBy: isVouchedFor(authority, nowMs) ? (authority.vouched?.by ?? []) : [],
    missesLeader: suspicion?.verdict === 'missed' ? suspicion.because : null,
    promisedAgainst: c.fenced && fence !== undefined && fence !== 'unreadable' ? fence.leader : null,
  };
}
