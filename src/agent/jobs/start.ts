/** Starts the server for a role, or starts it again. */
import { keepsClientsOut } from '../../core/admission.ts';
import type { Job, ServerRole } from '../../core/effects.ts';
import type { Log } from '../../ports/log.ts';
import type { Postgres, StopOptions } from '../../ports/postgres.ts';
import type { SettingsSource } from '../../ports/settings.ts';
import { RegentError } from '../../support/errors.ts';
import type { Fence } from '../fence.ts';
import type { JobSigns } from '../job-slot.ts';
import { type LeaveSyncPorts, leaveSync } from '../leave-sync.ts';
import { beforeStopMs, DAY_MS, startTimeoutMs, stopTimeoutMs } from './limits.ts';
import { nobodyTakesOver, withoutTheSilent } from './silent-standbys.ts';

export interface StartPorts {
  readonly pg: Pick<Postgres, 'start'>;
  readonly settings: Pick<SettingsSource, 'current'>;
  readonly fence: Pick<Fence, 'arm' | 'disarm'>;
  /** The configuration files were written with the settings in force now. */
  readonly configApplied: () => void;
}

/** Of a job that takes PostgreSQL down, and starts it again. */
export interface StopAndStartPorts extends StartPorts, LeaveSyncPorts, Pick<JobSigns, 'stopping' | 'leaving'> {}

export interface RestartPorts extends StopAndStartPorts {
  readonly pg: Pick<Postgres, 'checkpoint' | 'endWalsenders' | 'observe' | 'start' | 'stop'>;
  readonly log: Pick<Log, 'info' | 'warning'>;
}

/**
 * A server that may open for writes is started only under an armed guard, and with no lease-less
 * moment in between.
 */
export async function start(
  ports: StartPorts,
  role: ServerRole,
  timeoutMs: number | null,
  signal: AbortSignal,
  freshCopy = false,
): Promise<void> {
  if (role.kind === 'primary') {
    refuseInStandbyCluster(ports);
    await ports.fence.arm();
  } else await ports.fence.disarm();
  const { notWritten } = await ports.pg.start(role, {
    timeoutMs: startTimeoutMs(ports, role, timeoutMs),
    signal,
    freshCopy,
    clientsOut: keepsClientsOut(role, ports.settings.current().dynamic),
  });
  // The rounds write the files that could not be written here.
  if (notWritten.length === 0) ports.configApplied();
}

/**
 * The setting may have changed since the job was asked for. In a pause the operator is in charge.
 */
export function refuseInStandbyCluster({ settings }: Pick<StartPorts, 'settings'>): void {
  const { pause, standbyCluster } = settings.current().dynamic;
  if (standbyCluster === null || pause) return;
  throw new RegentError('STANDBY_CLUSTER', 'the cluster has become a standby cluster, which has no primary', { policy: 'transient' });
}

export async function restart(ports: RestartPorts, job: Extract<Job, { kind: 'restart' }>, signal: AbortSignal): Promise<void> {
  const { pg } = ports;
  const isPrimary = job.role.kind === 'primary';
  if (isPrimary) {
    // While the clients still work: without it the stop takes longer. A server that does not let
    // the agent in must still be restarted.
    await pg
      .checkpoint({ timeoutMs: DAY_MS, signal })
      .catch((error: unknown) => ports.log.warning(`checkpoint before the restart failed: ${String(error)}`));
  } else await leaveSync(ports, ports.leaving, signal);
  const drain = isPrimary ? await withoutTheSilent(ports, nobodyTakesOver, signal) : {};
  await stopInOrder(ports, signal, drain);
  await start(ports, job.role, job.timeoutMs, signal);
}

async function stopInOrder(
  ports: StopAndStartPorts & { readonly pg: Pick<Postgres, 'stop'> },
  signal: AbortSignal,
  drain: Partial<StopOptions> = {},
): Promise<void> {
  // What called it off stops PostgreSQL in its own way, if at all.
  signal.throwIfAborted();
  ports.stopping();
  await ports.pg.stop('fast', { timeoutMs: stopTimeoutMs(ports), beforeStopMs: beforeStopMs(ports), ...drain });
}

export interface RetargetPorts extends StopAndStartPorts {
  readonly pg: Pick<Postgres, 'forgetTimelines' | 'start' | 'stop'>;
  readonly log: Pick<Log, 'info' | 'warning'>;
}

export async function retarget(ports: RetargetPorts, job: Extract<Job, { kind: 'retarget' }>, signal: AbortSignal): Promise<void> {
  const { pg } = ports;
  await leaveSync(ports, ports.leaving, signal);
  await stopInOrder(ports, signal);
  const forgotten = await pg.forgetTimelines(job.timeline);
  ports.log.info(`removed ${forgotten.join(', ')}, so that PostgreSQL no longer follows a timeline that its leader does not have`);
  await start(ports, job.role, null, signal);
}
