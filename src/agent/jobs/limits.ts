/** How long the steps of a job may take. */
import type { ServerRole } from '../../core/effects.ts';
import type { SettingsSource } from '../../ports/settings.ts';

/** Work that takes longer for a larger database is bounded only so that it ends at all. */
export const DAY_MS = 24 * 3600 * 1000;

interface Configured {
  readonly settings: Pick<SettingsSource, 'current'>;
}

/** Options for one call to etcd. */
export const dcsTimeout = (ports: Configured) => ({ timeoutMs: ports.settings.current().dynamic.retryTimeoutSeconds * 1000 });

/**
 * A crashed standby may have hours of WAL to replay, and nothing waits for it. After this time the
 * rounds go on beside its start.
 */
const STANDBY_START_MS = 60_000;

/**
 * How long this job waits for the start. It is not longer than the limit by which the rules judge
 * the start, because they judge it only once its job is over. With primary_start_timeout 0 no other
 * node can lead, or the rules would not start it.
 */
export function startTimeoutMs(ports: Configured, role: ServerRole, wantedMs: number | null): number {
  const { dynamic, postgresql } = ports.settings.current();
  if (wantedMs !== null) return wantedMs;
  const limitMs = dynamic.primaryStartTimeoutSeconds * 1000;
  return role.kind === 'standby' ? Math.max(STANDBY_START_MS, limitMs) : limitMs || postgresql.pgCtlTimeoutSeconds * 1000;
}

/**
 * How long before_stop may take where nothing but an operator waits: a leader renews its lease
 * meanwhile, and a stop that becomes urgent does not wait for it.
 */
export const beforeStopMs = ({ settings }: Configured): number => settings.current().postgresql.pgCtlTimeoutSeconds * 1000;

/** How long a primary may take to stop in good order. */
export function stopTimeoutMs(ports: Configured): number {
  const { dynamic, postgresql } = ports.settings.current();
  const strict = dynamic.synchronousMode !== 'off' && dynamic.primaryStopTimeoutSeconds > 0;
  return (strict ? dynamic.primaryStopTimeoutSeconds : postgresql.pgCtlTimeoutSeconds) * 1000;
}
