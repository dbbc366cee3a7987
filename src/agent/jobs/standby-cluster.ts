/** Two jobs of a standby cluster: the data of its first member, and the end of its last primary. */
import type { Job } from '../../core/effects.ts';
import type { Dcs } from '../../ports/dcs.ts';
import type { Log } from '../../ports/log.ts';
import type { Postgres } from '../../ports/postgres.ts';
import type { SettingsSource } from '../../ports/settings.ts';
import { RegentError } from '../../support/errors.ts';
import type { AuthorityView } from '../authority-cell.ts';
import type { Lease } from '../lease.ts';
import { type StopPorts, stopInOrder } from './handover.ts';
import { DAY_MS, dcsTimeout, stopTimeoutMs } from './limits.ts';
import { nobodyTakesOver } from './silent-standbys.ts';
import { type StartPorts, start } from './start.ts';

const CHECKPOINT_MS = 60_000;

export interface BootstrapStandbyPorts extends StartPorts {
  readonly pg: Pick<Postgres, 'clone' | 'observe' | 'removeDataDirectory' | 'start' | 'stop'>;
  readonly dcs: Pick<Dcs, 'acquireLeader' | 'clearInitialize' | 'publishInitialize' | 'read' | 'createConfig'>;
  readonly settings: Pick<SettingsSource, 'bootstrapConfig' | 'current' | 'local'>;
  readonly log: Pick<Log, 'warning'>;
  readonly authority: Pick<AuthorityView, 'now'>;
  readonly lease: Pick<Lease, 'carry'>;
}

/**
 * The right to be the first is the empty `initialize`, on the lease that this agent has when the
 * job begins. The copy holds nothing that the server outside lacks. So where another member was
 * quicker, or the copy cannot be started, nothing is lost with it.
 */
export async function bootstrapStandby(
  ports: BootstrapStandbyPorts,
  { source }: Extract<Job, { kind: 'bootstrap-standby' }>,
  signal: AbortSignal,
): Promise<void> {
  const { pg, dcs, settings } = ports;
  const { leaseId } = ports.authority.now.lease;
  if (leaseId === null) throw lostRight('before it began');
  try {
    await pg.stop('immediate', { timeoutMs: 30_000 });
    await pg.clone(source, { timeoutMs: DAY_MS, signal, fromLeader: false });
    await start(ports, { kind: 'standby', source, leads: true }, null, signal, true);
    await publish(ports, leaseId);
  } catch (error) {
    await dcs
      .clearInitialize({ leaseId }, dcsTimeout(ports))
      .catch((again: unknown) => ports.log.warning(`cleaning up after a failed bootstrap: ${String(again)}`));
    throw error;
  }
  const me = settings.local().name;
  const leads = await ports.lease.carry((id) => dcs.acquireLeader(me, id, dcsTimeout(ports)));
  if (!leads) throw new RegentError('BOOTSTRAP_LOST', 'the leader key could not be taken after the copy', { policy: 'transient' });
  // What is there is in force, and may be an operator's: this job may have taken hours.
  await dcs.createConfig(settings.bootstrapConfig(), dcsTimeout(ports));
}

async function publish({ pg, dcs, ...ports }: BootstrapStandbyPorts, leaseId: string): Promise<void> {
  const { systemIdentifier } = await pg.observe({ timeoutMs: 5000 });
  if (systemIdentifier === null)
    throw new RegentError('BOOTSTRAP_LOST', 'the copy does not tell its system identifier', { policy: 'transient' });
  const { initialize } = await dcs.read(dcsTimeout(ports));
  const done = initialize === '' ? await dcs.publishInitialize(systemIdentifier, leaseId, dcsTimeout(ports)) : null;
  if (done !== null || initialize === systemIdentifier) return;
  await pg.stop('immediate', { timeoutMs: 10_000 });
  await pg.removeDataDirectory({ timeoutMs: DAY_MS, keepAside: false });
  throw lostRight(`meanwhile: etcd has ${initialize || 'no identifier'}`);
}

const lostRight = (when: string) =>
  new RegentError('BOOTSTRAP_LOST', `the right to initialize the cluster was lost ${when}`, { policy: 'transient' });

/**
 * The leader key stays: this node leads on, as the standby leader. Clients write until the stop, so
 * the checkpoint before it is bounded; what it has not written, the shutdown writes.
 */
export async function demoteCluster(ports: StopPorts, signal: AbortSignal): Promise<void> {
  const ended = async () => {
    await ports.watchdog.disable();
    await ports.fence.disarm();
  };
  const checkpointMs = Math.min(CHECKPOINT_MS, stopTimeoutMs(ports));
  await stopInOrder(ports, { plan: nobodyTakesOver, checkpointMs, ended }, signal);
}
