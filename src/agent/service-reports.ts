/**
 * What the service manager is told: ready, reloading, stopping, and that the loop still turns.
 *
 * A loop that hangs gets no sign of life, although timers still run: then the service manager ends
 * the agent and starts another one.
 */
import type { Clock } from '../ports/clock.ts';
import type { ServiceManager } from '../ports/service-manager.ts';
import type { SettingsSource } from '../ports/settings.ts';

/** As sd_watchdog_enabled(3) advises. */
const SIGNS_IN_PATIENCE = 2;

interface ServicePorts {
  readonly clock: Pick<Clock, 'bootMs' | 'timer'>;
  readonly service: ServiceManager;
  readonly settings: Pick<SettingsSource, 'current'>;
}

export class ServiceReports {
  readonly #ports: ServicePorts;
  /** Null: the loop has not begun. */
  #hungFromMs: number | null = null;
  #postmaster: number | null | undefined = undefined;
  #isStopping = false;
  #cancel: () => void = () => {};

  constructor(ports: ServicePorts) {
    this.#ports = ports;
  }

  /** The main loop begins. */
  start(): void {
    const { clock, service } = this.#ports;
    this.turning();
    service.tell('ready');
    if (service.patienceMs === null) return;
    const everyMs = service.patienceMs / SIGNS_IN_PATIENCE;
    const again = () => {
      this.#cancel = clock.timer(everyMs, () => {
        this.#giveSign();
        again();
      });
    };
    again();
  }

  /** A round begins. It hangs if it lasts until a lease that it renewed has run out. */
  turning(): void {
    this.#hungFromMs = this.#ports.clock.bootMs() + this.#longestRoundMs();
  }

  resting(untilMs: number): void {
    this.#hungFromMs = untilMs + this.#longestRoundMs();
  }

  /**
   * A server that somebody started with the socket in its environment may have announced its own
   * end as the service's.
   */
  sawPostmaster(pid: number | null): void {
    if (this.#postmaster !== undefined && pid !== this.#postmaster && !this.#isStopping) this.#ports.service.tell('ready');
    this.#postmaster = pid;
  }

  /** Returns what says that it is over. */
  reloading(): () => void {
    if (this.#isStopping) return () => {};
    this.#ports.service.tell('reloading');
    return () => this.#ports.service.tell('ready');
  }

  stopping(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#ports.service.tell('stopping');
  }

  end(): void {
    this.#cancel();
  }

  #giveSign(): void {
    const { clock, service } = this.#ports;
    if (this.#hungFromMs !== null && clock.bootMs() < this.#hungFromMs) service.tell('alive');
  }

  #longestRoundMs(): number {
    const { ttlSeconds, loopWaitSeconds } = this.#ports.settings.current().dynamic;
    return (ttlSeconds + loopWaitSeconds) * 1000;
  }
}
