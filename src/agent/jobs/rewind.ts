/** Takes the server back to where its history left the leader's. */
import type { Job } from '../../core/effects.ts';
import type { Postgres } from '../../ports/postgres.ts';
import { beforeStopMs, DAY_MS } from './limits.ts';
import { type StartPorts, start } from './start.ts';

export interface RewindPorts extends StartPorts {
  readonly pg: Pick<Postgres, 'rewind' | 'start' | 'stop'>;
  readonly stopping: () => void;
  /** Tells the callbacks that PostgreSQL was stopped. Never throws. */
  readonly announceStop: () => Promise<void>;
}

export async function rewind(ports: RewindPorts, job: Extract<Job, { kind: 'rewind' }>, signal: AbortSignal): Promise<void> {
  const { pg, settings } = ports;
  ports.stopping();
  await pg.stop('fast', { timeoutMs: settings.current().postgresql.pgCtlTimeoutSeconds * 1000, beforeStopMs: beforeStopMs(ports) });
  await ports.announceStop();
  await pg.rewind(job.source, { timeoutMs: DAY_MS, signal });
  await start(ports, { kind: 'standby', source: job.follow === undefined ? job.source : job.follow }, null, signal);
}
