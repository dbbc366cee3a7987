import { accessSync, constants, type Stats, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { WatchdogSettings } from '../../core/settings.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Watchdog } from '../../ports/guard.ts';
import type { Log } from '../../ports/log.ts';
import { ensureError } from '../../support/errors.ts';
import { type DeviceAnswer, SILENT, setDeviceTimeout } from './ioctl.ts';

const IOCTL_DEADLINE_MS = 2000;
const PET = '1';
const MAGIC = 'V';

export interface WatchdogOptions {
  /** Asked at every use, so that a reload takes effect at the next activation. */
  readonly settings: () => WatchdogSettings;
  readonly clock: Clock;
  readonly log: Log;
  /**
   * `testing`: the device is a FIFO or a file; the timeout is set by the line `Ctimeout=<n>`
   * instead of an ioctl.
   */
  readonly driver?: 'linux' | 'testing';
}

/**
 * A watchdog device of the kernel (Documentation/watchdog/watchdog-api.rst). From activate() on,
 * the machine is reset unless keepAlive() comes within the timeout. activate() answers false only
 * where that forbids leadership (mode `required`). `active` tells whether a device is really
 * counting.
 */
export function createWatchdog(options: WatchdogOptions): Watchdog {
  return new DeviceWatchdog(options);
}

class DeviceWatchdog implements Watchdog {
  readonly #options: WatchdogOptions;
  #device: FileHandle | null = null;
  #timeoutSeconds: number | null = null;
  #magicClose: boolean | null = null;
  #complained = '';

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  get active(): boolean {
    return this.#device !== null;
  }

  healthy(): boolean {
    const { mode, device } = this.#options.settings();
    if (mode === 'off' || this.active) return true;
    try {
      accessSync(device, constants.W_OK);
      return usableKind(statSync(device), this.#options.driver);
    } catch {
      return false;
    }
  }

  async activate(timeoutSeconds: number): Promise<boolean> {
    const { mode, device } = this.#options.settings();
    if (mode === 'off') {
      await this.disable();
      return true;
    }
    if (this.#device && this.#timeoutSeconds === timeoutSeconds) return true;
    try {
      if (timeoutSeconds < 1) throw new Error('ttl leaves no room for the watchdog: ttl less safety_margin must be at least loop_wait');
      this.#device ??= await openDevice(device, this.#options.driver);
      await this.#setTimeout(timeoutSeconds);
      await this.keepAlive();
      if (!this.active) throw new Error('it does not take keepalives');
      this.#options.log.info(`watchdog ${device} is active with a timeout of ${timeoutSeconds} s`);
      this.#complained = '';
      return true;
    } catch (error) {
      await this.disable();
      this.#complain(`watchdog ${device} cannot be used: ${ensureError(error).message}`, mode);
      return mode !== 'required';
    }
  }

  async keepAlive(): Promise<void> {
    if (!this.#device) return;
    try {
      await this.#device.write(PET);
    } catch (error) {
      // The device goes on counting; closing it is the only way to learn whether it can be used
      // again.
      this.#options.log.error(`watchdog could not be kept alive: ${ensureError(error).message}`);
      await this.#close();
    }
  }

  async disable(): Promise<void> {
    if (!this.#device) return;
    try {
      await this.#device.write(MAGIC);
      if (this.#magicClose === false) {
        this.#options.log.critical('the watchdog device cannot be disarmed once it counts (no magic close): this machine will be reset');
      }
    } catch (error) {
      this.#options.log.critical(`the watchdog could not be disarmed and may reset this machine: ${ensureError(error).message}`);
    }
    await this.#close();
  }

  async #setTimeout(timeoutSeconds: number): Promise<void> {
    const device = this.#device!;
    let answer: DeviceAnswer = SILENT;
    if (this.#options.driver === 'testing') await device.write(`Ctimeout=${timeoutSeconds}\n`);
    else answer = await setDeviceTimeout(device.fd, timeoutSeconds, this.#options.clock, IOCTL_DEADLINE_MS);
    this.#magicClose = answer.magicClose;
    if (answer.timeoutSeconds !== null && answer.timeoutSeconds > timeoutSeconds) {
      throw new Error(`its timeout is ${answer.timeoutSeconds} s and does not go down to ${timeoutSeconds} s`);
    }
    if (answer.timeoutSeconds === null && this.#options.driver !== 'testing') {
      throw new Error('it does not tell its timeout (WDIOC_GETTIMEOUT), so its moment to act is not known');
    }
    this.#timeoutSeconds = timeoutSeconds;
  }

  async #close(): Promise<void> {
    const device = this.#device;
    this.#device = null;
    this.#timeoutSeconds = null;
    try {
      await device?.close();
    } catch (error) {
      this.#options.log.warning(`watchdog could not be closed: ${ensureError(error).message}`);
    }
  }

  /** Logs once for each cause: the agent asks again every round. */
  #complain(message: string, mode: WatchdogSettings['mode']): void {
    if (message === this.#complained) return;
    this.#complained = message;
    if (mode === 'required') this.#options.log.error(message);
    else this.#options.log.info(`${message}; going on without it`);
  }
}

function usableKind(stat: Stats, driver: 'linux' | 'testing' | undefined): boolean {
  return driver === 'testing' ? stat.isFIFO() || stat.isFile() : stat.isCharacterDevice();
}

async function openDevice(path: string, driver: 'linux' | 'testing' | undefined): Promise<FileHandle> {
  // Without O_NONBLOCK a FIFO nobody reads would hold the call; a device ignores the flag.
  const handle = await open(path, constants.O_WRONLY | constants.O_NONBLOCK);
  if (usableKind(await handle.stat(), driver)) return handle;
  await handle.close();
  throw new Error('it is not a watchdog device');
}
