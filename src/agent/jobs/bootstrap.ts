/** Makes a new cluster here, and the node its first leader. */
import type { Dcs, InitializeMark } from '../../ports/dcs.ts';
import type { Log } from '../../ports/log.ts';
import type { Postgres } from '../../ports/postgres.ts';
import type { SettingsSource } from '../../ports/settings.ts';
import { RegentError } from '../../support/errors.ts';
import type { AuthorityView } from '../authority-cell.ts';
import type { Fence } from '../fence.ts';
import type { Lease } from '../lease.ts';
import { DAY_MS, dcsTimeout } from './limits.ts';

export interface BootstrapPorts {
  readonly pg: Pick<Postgres, 'bootstrap' | 'markPublished' | 'removeDataDirectory' | 'stop'>;
  readonly dcs: Pick<Dcs, 'acquireLeader' | 'clearInitialize' | 'publishInitialize' | 'read' | 'releaseLeader' | 'createConfig'>;
  readonly settings: Pick<SettingsSource, 'bootstrapConfig' | 'current' | 'local'>;
  readonly log: Pick<Log, 'info' | 'warning'>;
  readonly authority: Pick<AuthorityView, 'now'>;
  readonly lease: Pick<Lease, 'carry'>;
  readonly fence: Pick<Fence, 'arm'>;
  /** The configuration files were written with the settings in force now. */
  readonly configApplied: () => void;
}

/**
 * The right to make the cluster is the empty mark in etcd, on the lease that this agent has when
 * the job begins. The new cluster is published first by its system identifier, for good, and only
 * over that mark. The leader key follows: by it other members clone, and clients come. Just before
 * the key, the mark goes that says that no other node was led to this directory. From then on it
 * may hold acknowledged commits. A later failure is left to the rounds, and nothing is undone.
 */
export async function bootstrap(ports: BootstrapPorts, signal: AbortSignal): Promise<void> {
  const { pg, dcs } = ports;
  const { leaseId } = ports.authority.now.lease;
  if (leaseId === null) throw lostRight('before it began');
  const reached: Reached = { made: false, written: { leaseId } };
  try {
    await pg.stop('immediate', { timeoutMs: 30_000 });
    const { systemIdentifier } = await pg.bootstrap({ timeoutMs: DAY_MS, signal });
    reached.made = true;
    ports.configApplied();
    // The mark went with its lease if that ended meanwhile. Another node may have made another
    // cluster since: the log tells which. What counts is the compare.
    const { initialize } = await dcs.read(dcsTimeout(ports));
    const modRevision = initialize === '' ? await dcs.publishInitialize(systemIdentifier, leaseId, dcsTimeout(ports)) : null;
    if (modRevision === null) throw lostRight(`meanwhile: etcd has ${initialize || 'no identifier'}`);
    reached.written = { modRevision };
    // Clients come with the leader key: the guard knows its end before.
    await ports.fence.arm();
  } catch (error) {
    await undoBootstrap(ports, reached);
    throw error;
  }
  await pg.markPublished();
  await beginToLead(ports, 'initdb');
  ports.log.info('initialized a new cluster');
}

/** `made`: what made the data. */
export async function beginToLead(
  { dcs, lease, settings }: Pick<BootstrapPorts, 'lease' | 'settings'> & { readonly dcs: Pick<Dcs, 'acquireLeader' | 'createConfig'> },
  made: string,
): Promise<void> {
  const me = settings.local().name;
  const leads = await lease.carry((leaseId) => dcs.acquireLeader(me, leaseId, dcsTimeout({ settings })));
  if (!leads) throw new RegentError('BOOTSTRAP_LOST', `the leader key could not be taken after ${made}`, { policy: 'transient' });
  // What is there is in force, and may be an operator's: this job may have taken hours.
  await dcs.createConfig(settings.bootstrapConfig(), dcsTimeout({ settings }));
}

export const lostRight = (when: string) =>
  new RegentError('BOOTSTRAP_LOST', `the right to initialize the cluster was lost ${when}`, { policy: 'transient' });

/**
 * How far a bootstrap has come: whether the cluster is whole, and whether etcd has the empty mark
 * or the identifier.
 */
interface Reached {
  made: boolean;
  written: InitializeMark;
}

/**
 * No other node was led to it. A half-made directory goes at once. A whole one stays, marked, while
 * it is not known whether it was published. The rounds find out. So an etcd that does not answer
 * costs nobody a long restore. A published one goes once etcd no longer has it, and the next node
 * may try. From etcd only this bootstrap's own entries go. An empty mark may be another node's by
 * now, and a system identifier another node's success.
 */
async function undoBootstrap(ports: BootstrapPorts, { made, written }: Reached): Promise<void> {
  const { pg, dcs, settings, log } = ports;
  const me = settings.local().name;
  const tried = (step: () => Promise<unknown>): Promise<boolean> =>
    step().then(
      () => true,
      (error: unknown) => {
        log.warning(`cleaning up after a failed bootstrap: ${String(error)}`);
        return false;
      },
    );
  const remove = () => pg.removeDataDirectory({ timeoutMs: DAY_MS, keepAside: true });
  await tried(() => pg.stop('immediate', { timeoutMs: 10_000 }));
  if (!made) await tried(remove);
  await tried(() => dcs.releaseLeader(me, dcsTimeout(ports)));
  const gone = await tried(() => dcs.clearInitialize(written, dcsTimeout(ports)));
  if ('modRevision' in written && gone) await tried(remove);
}
