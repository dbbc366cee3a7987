/**
 * Why replay is paused. From PostgreSQL 14 on, a standby pauses when the primary has raised a limit
 * above the standby's own (before, it ended); the control file has the primary's by then.
 */
import type { SqlFacts } from '../../core/postgres-facts.ts';
import { LIMIT_NAMES } from '../../pgconf/guc-table.ts';
import type { ControlData } from './control-data.ts';

const PAUSES_SINCE = 14;
const RUNNING_LIMITS = 'SELECT name, setting::bigint::float8 AS value FROM pg_settings WHERE name = ANY($1)';

export type RunningLimit = Readonly<{ name: string; value: number }>;

/** Whether it may be a limit: somebody may have paused it by hand. */
export function mayBeLimits(facts: Pick<SqlFacts, 'inRecovery' | 'replayPaused'>, major: number): boolean {
  return facts.inRecovery && facts.replayPaused && major >= PAUSES_SINCE;
}

export async function isPausedByLimits(
  control: ControlData | null,
  query: (text: string, values: readonly unknown[]) => Promise<readonly RunningLimit[]>,
): Promise<boolean> {
  if (control === null) return false;
  const running = await query(RUNNING_LIMITS, [LIMIT_NAMES]);
  return running.some(({ name, value }) => (control.limits[name] ?? 0) > value);
}
