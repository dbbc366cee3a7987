/** Keeps the watchdog device counting while this node leads. */
import { watchdogTimeoutSeconds } from '../core/settings.ts';
import type { Watchdog } from '../ports/guard.ts';
import type { SettingsSource } from '../ports/settings.ts';

export interface WatchdogKeeperPorts {
  readonly settings: Pick<SettingsSource, 'current'>;
  readonly watchdog: Pick<Watchdog, 'activate' | 'active' | 'disable' | 'keepAlive'>;
}

export class WatchdogKeeper {
  readonly #ports: WatchdogKeeperPorts;

  constructor(ports: WatchdogKeeperPorts) {
    this.#ports = ports;
  }

  /** False when leadership must not be taken without it. */
  async activate(): Promise<boolean> {
    const { dynamic, local } = this.#ports.settings.current();
    const { mode, safetyMarginSeconds } = local.watchdog;
    if (mode === 'off' || dynamic.pause) return true;
    const timeoutSeconds = watchdogTimeoutSeconds(dynamic.ttlSeconds, dynamic.loopWaitSeconds, safetyMarginSeconds);
    const counting = timeoutSeconds !== null && (await this.#ports.watchdog.activate(timeoutSeconds));
    return counting || mode !== 'required';
  }

  /**
   * Activates it first where it does not count yet, or has another timeout than the settings ask
   * for by now.
   */
  async keepAlive(): Promise<void> {
    const { watchdog, settings } = this.#ports;
    if (settings.current().local.watchdog.mode === 'off') return this.rest();
    await this.activate();
    if (watchdog.active) await watchdog.keepAlive();
  }

  /** What counts goes on to be kept alive; nothing is activated. */
  async keepCounting(): Promise<void> {
    if (this.#ports.watchdog.active) await this.keepAlive();
  }

  async rest(): Promise<void> {
    if (this.#ports.watchdog.active) await this.#ports.watchdog.disable();
  }
}
