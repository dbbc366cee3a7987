import type { Gate, Simulation } from '../clock.ts';
import type { Network } from '../network.ts';
import type { Rng } from '../rng.ts';
import type { SimServer } from '../server.ts';

/**
 * opened: takes writes from now on. removing: what the directory holds goes. slot: one was
 * advanced. starting: as a standby of somebody.
 */
export type ServerEvent = 'opened' | 'promoting' | 'removing' | 'slot' | 'starting';

export interface ServerParts {
  readonly sim: Simulation;
  readonly net: Network;
  readonly rng: Rng;
  /**
   * The machine: what happens in the server waits while it is frozen and never happens once it is
   * off.
   */
  readonly gate: () => Gate;
  readonly wallMs: () => number;
  readonly trace: (line: string) => void;
  /** For checkers, before the thing happens. */
  readonly tell: (server: SimServer, event: ServerEvent) => void;
}

export interface Configured {
  readonly source: { readonly host: string; readonly port: number } | null;
  readonly syncNames: string;
  /** primary_slot_name. */
  readonly slot: string;
}
