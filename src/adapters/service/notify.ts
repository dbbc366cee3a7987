/**
 * systemd's protocol, sd_notify(3): one datagram a message. launch.pl has connected the socket, and
 * the agent writes to it as to a file.
 */
import { writeSync } from 'node:fs';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import { noServiceManager, type ServiceManager, type ServiceState } from '../../ports/service-manager.ts';
import { codeOf, ensureError } from '../../support/errors.ts';

type Environment = Record<string, string | undefined>;

/** None of them may reach PostgreSQL or a script: they would speak for the agent. */
const VARIABLES = ['NOTIFY_SOCKET', 'REGENT_NOTIFY_FD', 'WATCHDOG_USEC', 'WATCHDOG_PID'] as const;
/** A full queue of systemd: it is restarting, or very busy. */
const RETRY_MS = 100;
const MOST_TRIES = 50;

export interface NotifyOptions {
  readonly log: Log;
  readonly clock: Pick<Clock, 'timer'>;
  /** CLOCK_MONOTONIC, which systemd compares its own time with. */
  readonly monotonicUsec?: () => bigint;
}

export type ServiceWords = Readonly<Partial<Record<(typeof VARIABLES)[number], string>>>;

/** Takes them out of the environment. */
export function takeServiceWords(env: Environment): ServiceWords {
  const words: Record<string, string> = {};
  for (const name of VARIABLES) {
    const value = env[name];
    if (value !== undefined) words[name] = value;
    delete env[name];
  }
  return words;
}

export function createServiceManager(words: ServiceWords, options: NotifyOptions): ServiceManager {
  const fd = Number(words.REGENT_NOTIFY_FD);
  if (Number.isInteger(fd) && fd > 2) return new Systemd(fd, patienceMs(words), options);
  if (words.NOTIFY_SOCKET !== undefined) {
    options.log.warning('NOTIFY_SOCKET is set, but systemd is told nothing: start the agent by the program regent, which opens the socket');
  }
  return noServiceManager;
}

function patienceMs({ WATCHDOG_USEC: usec, WATCHDOG_PID: pid }: ServiceWords): number | null {
  const ms = Number(usec) / 1000;
  return ms > 0 && (pid === undefined || Number(pid) === process.pid) ? ms : null;
}

const ownMonotonicUsec = () => process.hrtime.bigint() / 1000n;

class Systemd implements ServiceManager {
  readonly patienceMs: number | null;
  readonly #fd: number;
  readonly #options: NotifyOptions;
  /** In order: what could not be sent yet. */
  readonly #waiting: string[] = [];
  #tries = 0;
  #complained = false;

  constructor(fd: number, patience: number | null, options: NotifyOptions) {
    this.#fd = fd;
    this.patienceMs = patience;
    this.#options = options;
  }

  tell(state: ServiceState): void {
    // The next sign of life comes soon enough.
    if (state === 'alive' && this.#waiting.length > 0) return;
    this.#waiting.push(this.#textOf(state));
    if (this.#waiting.length === 1) this.#send();
  }

  #textOf(state: ServiceState): string {
    switch (state) {
      case 'ready':
        return 'READY=1';
      case 'reloading':
        return `RELOADING=1\nMONOTONIC_USEC=${(this.#options.monotonicUsec ?? ownMonotonicUsec)()}`;
      case 'stopping':
        return 'STOPPING=1';
      case 'alive':
        return 'WATCHDOG=1';
    }
  }

  #send(): void {
    while (this.#waiting.length > 0) {
      try {
        writeSync(this.#fd, this.#waiting[0]!);
      } catch (error) {
        if (codeOf(error) === 'EAGAIN' && this.#tries < MOST_TRIES) {
          this.#tries += 1;
          this.#options.clock.timer(RETRY_MS, () => this.#send());
          return;
        }
        this.#complain(error);
      }
      this.#tries = 0;
      this.#waiting.shift();
    }
  }

  #complain(error: unknown): void {
    if (!this.#complained) this.#options.log.warning(`systemd could not be told: ${ensureError(error).message}`);
    this.#complained = true;
  }
}
