/** Makes the data directory from another member's. It replaces what is here, if anything. */
import type { Job, Source } from '../../core/effects.ts';
import { isCountedOn } from '../../core/voters.ts';
import type { Postgres } from '../../ports/postgres.ts';
import { RegentError } from '../../support/errors.ts';
import { leaveSync } from '../leave-sync.ts';
import { beforeStopMs, DAY_MS, dcsTimeout } from './limits.ts';
import { type StopAndStartPorts, start } from './start.ts';

const SOURCE_TIMEOUT_MS = 5000;

export interface ClonePorts extends StopAndStartPorts {
  readonly pg: Pick<Postgres, 'checkRemake' | 'clone' | 'removeDataDirectory' | 'sourceHistory' | 'start' | 'stop'>;
  /** Tells the callbacks that PostgreSQL was stopped. Never throws. */
  readonly announceStop: () => Promise<void>;
}

/** Resolves to the system identifier that etcd has. */
async function seen(ports: ClonePorts, source: Source, signal: AbortSignal, leavesSync = false): Promise<string | null> {
  const view = await ports.dcs.read(dcsTimeout(ports));
  const { initialize } = view;
  // Ask it after etcd, which may keep us waiting for long: the source must be alive now.
  const { systemIdentifier, inRecovery } = await ports.pg.sourceHistory(source, { timeoutMs: SOURCE_TIMEOUT_MS, signal });
  const { dynamic, local } = ports.settings.current();
  if (!leavesSync && isCountedOn(view, dynamic.synchronousMode, local.name) && (view.sync?.leader !== source.name || inRecovery)) {
    throw new RegentError(
      'MEMBER_COUNTED_ON',
      `/sync counts on what ${local.name} has confirmed, and ${source.name} need not have all of it`,
      {
        policy: 'transient',
        mend: 'reinitialize with --from-leader, or once a leader has taken this member from /sync',
      },
    );
  }
  if (initialize === null || initialize === '') return null;
  if (initialize === systemIdentifier) return initialize;
  throw new RegentError(
    'SOURCE_OTHER_CLUSTER',
    `${source.name} runs a cluster of another system identifier: ${systemIdentifier} != ${initialize}`,
    {
      policy: 'transient',
      mend: 'see which disk that node has; nothing is removed here before it is of this cluster',
    },
  );
}

export async function clone(ports: ClonePorts, job: Extract<Job, { kind: 'clone' | 'reinitialize' }>, signal: AbortSignal): Promise<void> {
  const { pg } = ports;
  if (job.kind === 'reinitialize') {
    // The directory that is removed here may be the last copy of acknowledged commits. So it goes
    // only while another copy is seen to exist, and only while a new one can be made in its place.
    await pg.checkRemake(await seen(ports, job.source, signal, true));
    await leaveSync(ports, ports.leaving, signal);
    ports.stopping();
    await pg.stop('immediate', { timeoutMs: 30_000, beforeStopMs: beforeStopMs(ports) });
    await ports.announceStop();
    // The first look was some time ago.
    await seen(ports, job.source, signal);
    await pg.removeDataDirectory({ timeoutMs: DAY_MS, keepAside: false });
  } else {
    // An agent that ended in the middle of a bootstrap left a server running on its directory. No
    // other process would ever stop that server.
    await pg.stop('immediate', { timeoutMs: 30_000 });
  }
  await pg.clone(job.source, { timeoutMs: DAY_MS, signal, fromLeader: job.fromLeader });
  await start(ports, { kind: 'standby', source: job.source }, null, signal, true);
}
