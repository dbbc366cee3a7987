/** Where the REST API listens: one listener, which a reload may replace. */
import type { RestSettings } from '../core/settings.ts';
import { type Clock, sleep } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import { ensureError, RegentError } from '../support/errors.ts';
import type { Listener } from './listener.ts';

const COME_BACK_EVERY_MS = 1000;

export interface RestPlaceOptions {
  readonly open: (settings: RestSettings) => Promise<Listener>;
  readonly clock: Clock;
  readonly log: Log;
}

export class RestPlace {
  readonly #options: RestPlaceOptions;
  #listener: Listener;
  #settings: RestSettings;
  /** Neither the address of a reload nor the one before could be had. */
  #isDown = false;
  #isClosed = false;
  #queue: Promise<void> = Promise.resolve();
  #waiting = 0;

  private constructor(options: RestPlaceOptions, listener: Listener, settings: RestSettings) {
    this.#options = options;
    this.#listener = listener;
    this.#settings = settings;
    this.#tell();
  }

  /** Throws what `open` throws. */
  static async open(options: RestPlaceOptions, settings: RestSettings): Promise<RestPlace> {
    return new RestPlace(options, await options.open(settings), settings);
  }

  get port(): number {
    return this.#listener.port;
  }

  /**
   * Never throws. `prepare` may refuse the settings; what it returns is called before a request
   * comes in under them. All of the settings count, or none: who may change what must fit what is
   * served.
   */
  change(settings: RestSettings, prepare: () => Promise<() => void>): Promise<void> {
    return this.#inTurn(async () => {
      const prepared = await prepare();
      const adopt = () => {
        this.#settings = settings;
        prepared();
      };
      if (this.#isDown || !this.#listener.fits(settings)) return this.#replace(settings, adopt);
      await this.#listener.renewCertificates(settings);
      adopt();
    });
  }

  /** Never throws. */
  renewCertificates(): Promise<void> {
    return this.#inTurn(async () => (this.#isDown ? undefined : this.#listener.renewCertificates(this.#settings)));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#queue;
    if (!this.#isDown) await this.#listener.close();
  }

  /** One reload at a time, because two must not both open a listener. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#waiting += 1;
    const done = this.#queue.then(() => {
      this.#waiting -= 1;
      return this.#isClosed ? undefined : work().catch((error: unknown) => this.#report(error));
    });
    this.#queue = done.then(() => this.#comeBack());
    return done;
  }

  /**
   * If both listeners can be open at once, the new one opens first, so that a bad address leaves
   * the old one in service. `adopt` is called before the new one gets a request.
   */
  async #replace(settings: RestSettings, adopt: () => void): Promise<void> {
    const { open } = this.#options;
    const old = this.#listener;
    if (!this.#isDown && settings.listenPort !== old.port) {
      this.#listener = await open(settings);
      adopt();
      return old.close();
    }
    if (!this.#isDown) await old.close();
    this.#isDown = true;
    try {
      this.#listener = await open(settings);
      this.#isDown = false;
      adopt();
    } catch (error) {
      await this.#openAgain().catch((again: unknown) => this.#report(again));
      throw error;
    }
  }

  async #openAgain(): Promise<void> {
    this.#listener = await this.#options.open(this.#settings);
    this.#isDown = false;
  }

  /** Whoever has the address now, or took the certificate away, may give it back. */
  async #comeBack(): Promise<void> {
    while (this.#isDown && !this.#isClosed && this.#waiting === 0) {
      await sleep(this.#options.clock, COME_BACK_EVERY_MS);
      await this.#openAgain().then(
        () => this.#tell(),
        (error: unknown) => this.#options.log.debug(`REST API: ${ensureError(error).message}`),
      );
    }
  }

  #tell(): void {
    this.#options.log.info(`REST API listens on ${this.#settings.listenHost || '*'}:${this.#listener.port}`);
  }

  #report(error: unknown): void {
    const mend = error instanceof RegentError ? error.mend : null;
    const what = this.#isDown ? 'REST API listens nowhere, and tries its old settings every second' : 'REST API keeps its old settings';
    this.#options.log.error(`${what}: ${ensureError(error).message}`, { mend });
  }
}
