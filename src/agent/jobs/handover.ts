/** Gives the lead up in good order, before a switchover or the end of the agent. */
import type { ClusterView } from '../../core/cluster.ts';
import type { Job } from '../../core/effects.ts';
import type { PostgresFacts } from '../../core/postgres-facts.ts';
import { observeTimeoutMs } from '../../core/settings.ts';
import type { Watchdog } from '../../ports/guard.ts';
import type { Log } from '../../ports/log.ts';
import type { Postgres } from '../../ports/postgres.ts';
import type { SettingsSource } from '../../ports/settings.ts';
import { RegentError } from '../../support/errors.ts';
import type { Fence } from '../fence.ts';
import type { JobSigns } from '../job-slot.ts';
import type { Lease } from '../lease.ts';
import { type LeaveSyncPorts, leaveSync } from '../leave-sync.ts';
import { beforeStopMs, DAY_MS, dcsTimeout, stopTimeoutMs } from './limits.ts';
import { type Plan, planFor, withoutTheSilent } from './silent-standbys.ts';

interface ReleasePorts {
  readonly settings: Pick<SettingsSource, 'current' | 'local'>;
  readonly log: Pick<Log, 'info' | 'warning'>;
  readonly watchdog: Pick<Watchdog, 'disable'>;
  readonly lease: Pick<Lease, 'release'>;
  readonly fence: Pick<Fence, 'disarm'>;
}

export interface StopPorts extends ReleasePorts, Pick<LeaveSyncPorts, 'clock' | 'dcs'>, Pick<JobSigns, 'stopping' | 'leaving'> {
  readonly pg: Pick<Postgres, 'checkpoint' | 'endWalsenders' | 'observe' | 'stop'>;
  /** Tells the callbacks that PostgreSQL was stopped. Never throws. */
  readonly announceStop: () => Promise<void>;
}

interface HowToStop {
  readonly plan: (view: ClusterView) => Plan;
  /** How long the checkpoint before the stop may take; the stop goes on without it. */
  readonly checkpointMs: number;
  /** Nothing can write here any more, although processes of PostgreSQL may not have ended yet. */
  readonly onClosed?: () => void;
  /** No process of what was a primary is left. */
  readonly ended: () => Promise<void>;
}

/**
 * The steps, in order. First a stop in good order. Then the key is released, with the position that
 * the successor must have. The key does not wait for the processes to end once PostgreSQL is closed
 * for writes: an archiver may take as long as it likes.
 */
export async function handover(ports: StopPorts, job: Extract<Job, { kind: 'handover' }>, signal: AbortSignal): Promise<void> {
  const key = { released: Promise.resolve(false) };
  const onClosed = () => {
    key.released = releaseKey(ports).then(
      () => true,
      (error: unknown) => {
        ports.log.warning(`the leader key could not be released while PostgreSQL ends, and is released after it: ${String(error)}`);
        return false;
      },
    );
  };
  const ended = async () => {
    if (!(await key.released)) await releaseKey(ports);
  };
  await stopInOrder(ports, { plan: planFor(ports.settings, job), checkpointMs: DAY_MS, onClosed, ended }, signal);
}

/**
 * First a checkpoint while the clients still work, so that the shutdown has little to write. At the
 * same time the agent finds out which standbys are gone and cannot confirm it. Then a fast
 * shutdown, which sends every last record to the connected standbys.
 */
export async function stopInOrder(
  ports: StopPorts,
  { plan, checkpointMs, onClosed, ended }: HowToStop,
  signal: AbortSignal,
): Promise<void> {
  const { pg, log } = ports;
  const before = await pg.observe({ timeoutMs: observeTimeoutMs(ports.settings.current().dynamic) });
  const isPrimary = mayBePrimary(before);
  if (isPrimary && before.sql !== null) {
    await pg
      .checkpoint({ timeoutMs: checkpointMs, signal })
      .catch((error: unknown) => log.warning(`checkpoint before the stop failed: ${String(error)}`));
    await refuseLockedOut(ports);
  } else if (!isPrimary) await leaveSync(ports, ports.leaving, signal);
  const drain = isPrimary ? await withoutTheSilent(ports, plan, signal) : {};
  ports.stopping();
  // Told once, as soon as nothing can write here any more: the successor will need what the script
  // takes away (an address).
  let told: Promise<void> | null = null;
  const stopped = () => {
    told ??= ports.announceStop();
    return told;
  };
  const closed = () => {
    void stopped();
    onClosed?.();
  };
  await pg.stop('fast', {
    timeoutMs: stopTimeoutMs(ports),
    beforeStopMs: beforeStopMs(ports),
    ...drain,
    ...(isPrimary && { onClosed: closed }),
  });
  const after = await pg.observe({ timeoutMs: 2000 });
  if (after.state !== 'stopped') throw new RegentError('STOP_FAILED', `PostgreSQL is still ${after.state} after a fast stop`);
  if (isPrimary) await ended();
  await stopped();
}

/**
 * A primary that does not answer just now is one by its files: its key is to be released, and its
 * guard to rest, as those of any other. One that has died was not stopped in good order.
 */
function mayBePrimary({ sql, postmaster, standbySignal, recoverySignal }: PostgresFacts): boolean {
  if (sql !== null) return !sql.inRecovery;
  return postmaster !== null && !standbySignal && recoverySignal !== true;
}

/**
 * The checkpoint was asked for on a new connection. An agent that does not get one would not get in
 * after the handover either, so the handover is called off before anything stops.
 */
async function refuseLockedOut(ports: StopPorts): Promise<void> {
  const { lockedOut } = await ports.pg.observe({ timeoutMs: 1000 });
  if (lockedOut === undefined) return;
  throw new RegentError(
    'HANDOVER_LOCKED_OUT',
    `called off before anything was stopped: the agent is locked out of PostgreSQL: ${lockedOut}`,
    {
      policy: 'transient',
    },
  );
}

/** Called when PostgreSQL takes no writes any more. */
async function releaseKey(ports: ReleasePorts): Promise<void> {
  const { watchdog, settings, log } = ports;
  await watchdog.disable();
  await ports.fence.disarm();
  const released = await ports.lease.release(settings.local().name, dcsTimeout(ports));
  if (!released) log.info('the leader key was no longer ours when this agent went to release it');
}
