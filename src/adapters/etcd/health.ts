/** How each etcd member is doing, by its own account and by a read that needs the whole cluster. */
import type { CallOptions, DcsMemberInfo } from '../../ports/dcs.ts';
import { ensureError } from '../../support/errors.ts';
import type { Gateway } from './gateway.ts';
import { encodeText } from './keys.ts';

/** `healthy`: the member gave a linearizable answer and knows a leader. Never throws. */
export function checkHealth(gateway: Gateway, prefix: string, options: CallOptions): Promise<readonly DcsMemberInfo[]> {
  return Promise.all([...gateway.pool.list()].sort().map((endpoint) => checkEndpoint(gateway, endpoint, prefix, options)));
}

async function checkEndpoint(gateway: Gateway, endpoint: string, prefix: string, { timeoutMs }: CallOptions): Promise<DcsMemberInfo> {
  const left = gateway.countdown(timeoutMs);
  let version: string | null = null;
  let isLeader: boolean | null = null;
  try {
    // Its own account is no evidence of what the cluster has reached, so it does not count as
    // consensus.
    const status = await gateway.callOn(endpoint, { path: '/maintenance/status', body: {}, timeoutMs: left(), consensus: false });
    version = typeof status['version'] === 'string' ? status['version'] : null;
    const leader = typeof status['leader'] === 'string' && status['leader'] !== '0' ? status['leader'] : null;
    isLeader = leader !== null && leader === status.header.member_id;
    const body = { key: encodeText(`${prefix}leader`), keys_only: true };
    await gateway.callOn(endpoint, { path: '/kv/range', body, timeoutMs: left(), consensus: true });
    if (leader === null) return { endpoint, healthy: false, version, isLeader, error: 'knows no leader' };
    return { endpoint, healthy: true, version, isLeader, error: null, alarm: alarmOf(status['errors']) };
  } catch (error) {
    return { endpoint, healthy: false, version, isLeader, error: ensureError(error).message };
  }
}

/** A member's status lists what is wrong in words, e.g. `memberID:8211 alarm:NOSPACE `. */
function alarmOf(errors: unknown): string | null {
  for (const error of Array.isArray(errors) ? errors : []) {
    const alarm = /alarm:(\w+)/.exec(String(error))?.[1];
    if (alarm !== undefined) return alarm;
  }
  return null;
}
