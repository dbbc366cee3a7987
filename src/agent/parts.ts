/**
 * What an agent is made of. The real parts come from adapters/, the simulator's from its models.
 */

import type { Clock } from '../ports/clock.ts';
import type { Dcs } from '../ports/dcs.ts';
import type { Guard, Watchdog } from '../ports/guard.ts';
import type { Links } from '../ports/links.ts';
import type { Log } from '../ports/log.ts';
import type { Peers } from '../ports/peers.ts';
import type { Postgres } from '../ports/postgres.ts';
import type { ServiceManager } from '../ports/service-manager.ts';
import type { SettingsSource } from '../ports/settings.ts';

export interface Parts {
  readonly clock: Clock;
  readonly log: Log;
  readonly dcs: Dcs;
  readonly pg: Postgres;
  readonly peers: Peers;
  readonly links: Links;
  readonly guard: Guard;
  readonly watchdog: Watchdog;
  readonly settings: SettingsSource;
  readonly service: ServiceManager;
}
