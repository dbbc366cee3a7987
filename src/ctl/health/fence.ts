/** Which fence a failover would wait for, by etcd's keys alone. */
import { adviceFacts } from '../../core/advice/facts.ts';
import { deadNodeLine, fenceLine, missedFence } from '../../core/advice/fence-line.ts';
import type { ClusterView } from '../../core/cluster.ts';
import { failoverFenceBody } from '../../dialect/failover-fence.ts';
import { dynamicOf } from '../dynamic-of.ts';
import type { FenceHealth } from './report.ts';

export function fenceHealth(view: ClusterView): FenceHealth {
  const dynamic = dynamicOf(view);
  const facts = adviceFacts(view, dynamic);
  const promises = facts.fence.kind === 'quorum' ? facts.fence : null;
  const lines = view.leader === null ? [] : [fenceLine(facts), deadNodeLine(facts)];
  return { told: failoverFenceBody(view, dynamic), lines, promises, missed: missedFence(facts) };
}
