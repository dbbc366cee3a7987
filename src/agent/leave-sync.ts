/**
 * A synchronous standby that is about to stop asks first to be let go. Otherwise its leader, and
 * every client, would wait for its confirmation until the round at which the leader notices. The
 * request is a pair of tags in the member key, which a leader that runs Patroni understands as
 * well.
 */
import { type ClusterView, memberOf, sameName, syncPriority } from '../core/cluster.ts';
import { type Clock, sleep } from '../ports/clock.ts';
import type { Dcs } from '../ports/dcs.ts';
import type { Log } from '../ports/log.ts';
import type { SettingsSource } from '../ports/settings.ts';

const LOOK_EVERY_MS = 200;
/** Without etcd no leader can agree, and the operator waits for the stop. */
const ETCD_PATIENCE_MS = 2000;

export interface LeaveSyncPorts {
  readonly clock: Pick<Clock, 'bootMs' | 'timer'>;
  readonly dcs: Pick<Dcs, 'read'>;
  readonly log: Pick<Log, 'warning'>;
  readonly settings: Pick<SettingsSource, 'current'>;
}

/**
 * Resolves once no leader waits for this node's confirmation, as far as etcd tells, or when waiting
 * is useless. `announce` publishes LEAVING. Never throws: leaving late is better than not at all.
 */
export async function leaveSync(ports: LeaveSyncPorts, announce: () => void, signal: AbortSignal): Promise<void> {
  const { clock, dcs, log, settings } = ports;
  const { dynamic, local } = settings.current();
  if (dynamic.synchronousMode === 'off' || syncPriority(local.tags) <= 0) return;
  const options = { timeoutMs: Math.min(ETCD_PATIENCE_MS, dynamic.retryTimeoutSeconds * 1000) };
  // The leader looks once in a loop_wait.
  const deadlineMs = clock.bootMs() + 2 * dynamic.loopWaitSeconds * 1000;
  let announced = false;
  // First /sync changes, then PostgreSQL's setting, so this node must be absent at two looks in a
  // row.
  for (let absent = 0; !signal.aborted; await sleep(clock, LOOK_EVERY_MS, signal)) {
    const view = await dcs.read(options).catch(() => null);
    absent = view !== null && isAwaited(view, local.name) ? 0 : absent + 1;
    if (view === null || absent === 2 || (absent === 1 && !announced)) return;
    if (clock.bootMs() > deadlineMs) {
      log.warning('this synchronous standby stops while the leader still counts on it: commits wait until the leader lets it go');
      return;
    }
    if (!announced) announce();
    announced = true;
  }
}

/** A working leader lists this node; a leader that is ending itself waits for no standby. */
export function isAwaited(view: ClusterView, me: string): boolean {
  const { leader, sync } = view;
  if (leader === null || sync === null || leader.name === me || sync.leader === null || !sameName(sync.leader, leader.name)) return false;
  return sync.standbys.some((name) => sameName(name, me)) && memberOf(view, leader.name)?.state === 'running';
}
