/** What stands between an old primary and its successor, as `regent` in GET /patroni says it. */
import type { ClusterView } from '../core/cluster.ts';
import { fenceInForce } from '../core/quorum/in-force.ts';
import type { DynamicSettings } from '../core/settings.ts';
import type { AgentStatus, QuorumStatus } from '../ports/agent-status.ts';
import type { JsonObject } from '../support/json.ts';

/** Nothing while etcd does not answer. */
export function failoverFenceBody(view: ClusterView | null, dynamic: DynamicSettings): JsonObject {
  if (view === null) return {};
  const fence = fenceInForce(view, dynamic);
  const told: JsonObject =
    fence.kind === 'quorum'
      ? { fence: 'quorum', voters: [...fence.voters], needed: fence.needed }
      : { fence: 'lease', rule: fence.answer.id, because: fence.answer.because };
  return { failover_fence: told };
}

/** What does not hold is left out. */
export function quorumBody({ quorum, failsafeMode }: AgentStatus): JsonObject {
  if (quorum === undefined) return {};
  const { vouchedForBy, missesLeader, promisedAgainst } = quorum;
  const agreedBy = failsafeMode?.agreedBy ?? [];
  const dcs = dcsText(quorum, failsafeMode);
  return {
    ...(dcs === null ? {} : { dcs }),
    ...(vouchedForBy.length === 0 ? {} : { vouched_for_by: [...vouchedForBy] }),
    ...(agreedBy.length === 0 ? {} : { failsafe_by: [...agreedBy] }),
    ...(missesLeader === null ? {} : { leader_missed: missesLeader }),
    ...(promisedAgainst === null ? {} : { promised: `takes no more WAL from ${promisedAgainst}` }),
  };
}

/** Null: etcd answers. */
function dcsText({ isDcsAway, vouchedForBy }: QuorumStatus, failsafeMode: AgentStatus['failsafeMode']): string | null {
  if (!isDcsAway) return null;
  if (vouchedForBy.length > 0) return `unreachable; vouched for by ${vouchedForBy.join(', ')}`;
  return failsafeMode?.isActive ? 'unreachable; failsafe mode is active' : 'unreachable';
}
