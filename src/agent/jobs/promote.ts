/** Makes the standby a primary, under an armed guard. */
import type { Log } from '../../ports/log.ts';
import type { Bounded, Postgres } from '../../ports/postgres.ts';
import type { SettingsSource } from '../../ports/settings.ts';
import { RegentError } from '../../support/errors.ts';
import type { Fence } from '../fence.ts';
import type { WatchdogKeeper } from '../watchdog-keeper.ts';
import { startTimeoutMs } from './limits.ts';
import { refuseInStandbyCluster } from './start.ts';

export interface PromotePorts {
  readonly pg: Pick<Postgres, 'prePromote' | 'promote' | 'setSyncNames'>;
  readonly settings: Pick<SettingsSource, 'current' | 'local'>;
  readonly log: Pick<Log, 'warning'>;
  readonly fence: Pick<Fence, 'arm'>;
  readonly watchdogKeeper: Pick<WatchdogKeeper, 'activate'>;
}

export async function promote(ports: PromotePorts, syncNames: string | null, signal: AbortSignal): Promise<void> {
  const { pg, settings, log } = ports;
  const { dynamic } = settings.current();
  const bounded: Bounded = { timeoutMs: dynamic.ttlSeconds * 1000, signal };
  await ports.fence.arm();
  if (!(await ports.watchdogKeeper.activate())) {
    throw new RegentError('WATCHDOG_FAILED', 'the watchdog is required and could not be armed', {
      mend: `check ${settings.local().watchdog.device}, its permissions, and that ttl leaves room for loop_wait and safety_margin`,
    });
  }
  if (!(await pg.prePromote({ timeoutMs: startTimeoutMs(ports, { kind: 'primary' }, null), signal }))) {
    throw new RegentError('PRE_PROMOTE_FAILED', 'the pre_promote script exited with an error, or not within primary_start_timeout', {
      mend: 'see the script’s own log',
    });
  }
  await pg.setSyncNames(syncNames, bounded).catch((error: unknown) => {
    // The file already has the user's own value, or one that makes commits wait for more standbys
    // than the election counts on. Neither is worth a cluster without a primary.
    if (syncNames !== null) throw error;
    log.warning(`promoted with the files as they are: ${String(error)}`);
  });
  refuseInStandbyCluster(ports);
  await pg.promote({ timeoutMs: Math.max(60_000, bounded.timeoutMs), signal });
}
