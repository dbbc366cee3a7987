/** Two jobs of a standby cluster: the data of its first member, and the end of its last primary. */
import type { Job } from '../../core/effects.ts';
import type { Dcs } from '../../ports/dcs.ts';
import type { Log } from '../../ports/log.ts';
import type { Postgres } from '../../ports/postgres.ts';
import { RegentError } from '../../support/errors.ts';
import { type BootstrapPorts, beginToLead, lostRight } from './bootstrap.ts';
import { type StopPorts, stopInOrder } from './handover.ts';
import { DAY_MS, dcsTimeout, stopTimeoutMs } from './limits.ts';
import { nobodyTakesOver } from './silent-standbys.ts';
import { type StartPorts, start } from './start.ts';

const CHECKPOINT_MS = 60_000;

export interface BootstrapStandbyPorts extends StartPorts, Pick<BootstrapPorts, 'authority' | 'lease'> {
  readonly pg: Pick<Postgres, 'clone' | 'observe' | 'removeDataDirectory' | 'start' | 'stop'>;
  readonly dcs: Pick<Dcs, 'acquireLeader' | 'clearInitialize' | 'publishInitialize' | 'read' | 'createConfig'>;
  readonly settings: BootstrapPorts['settings'];
  readonly log: Pick<Log, 'warning'>;
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
  const { pg, dcs } = ports;
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
  await beginToLead(ports, 'the copy');
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
