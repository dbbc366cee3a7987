/**
 * Takes the server back to where its history left the leader's, or finds that it has not left it.
 */
import type { Job } from '../../core/effects.ts';
import type { Postgres } from '../../ports/postgres.ts';
import type { JobSigns } from '../job-slot.ts';
import { beforeStopMs, DAY_MS } from './limits.ts';
import { type StartPorts, start } from './start.ts';

/** Reads WAL from the last checkpoint on: seconds, unless the disk is very slow. */
const COMPARE_MS = 600_000;

export interface RewindPorts extends StartPorts, Pick<JobSigns, 'stopping'> {
  readonly pg: Pick<Postgres, 'compare' | 'rewind' | 'start' | 'stop'>;
  /** Tells the callbacks that PostgreSQL was stopped. Never throws. */
  readonly announceStop: () => Promise<void>;
}

export async function rewind(ports: RewindPorts, job: Extract<Job, { kind: 'rewind' }>, signal: AbortSignal): Promise<void> {
  const { pg, settings } = ports;
  ports.stopping();
  await pg.stop('fast', { timeoutMs: settings.current().postgresql.pgCtlTimeoutSeconds * 1000, beforeStopMs: beforeStopMs(ports) });
  await ports.announceStop();
  await pg.rewind(job.source, { timeoutMs: DAY_MS, signal });
  await start(ports, { kind: 'standby', source: followed(job) }, null, signal);
}

const followed = ({ source, follow }: Extract<Job, { kind: 'rewind' | 'compare' }>) => (follow === undefined ? source : follow);

/** The server is down. It is known only now whether a leader's history has all that is here. */
export async function compare(ports: RewindPorts, job: Extract<Job, { kind: 'compare' }>, signal: AbortSignal): Promise<void> {
  await ports.pg.compare(job.source, { timeoutMs: COMPARE_MS, signal });
  await start(ports, { kind: 'standby', source: followed(job) }, null, signal);
}
