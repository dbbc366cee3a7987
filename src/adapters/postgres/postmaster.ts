/** Holds on to the postmaster of the data directory and tells when it is gone. */
import type { ChildProcess } from 'node:child_process';
import type { Clock } from '../../ports/clock.ts';
import { findPostmaster, findPostmasterByScan, type HeldProcess } from './detect.ts';
import { usualPrograms } from './server-process.ts';

/**
 * Nothing tells the agent that an adopted postmaster has died, so the agent looks for it. A look is
 * cheap, but the process must wake up for it: ten looks a second cost 2 ms of CPU a second, as much
 * as the whole agent may use. While a connection to PostgreSQL stands, the agent looks rarely:
 * backends exit with their postmaster, and the end of the connection is an event.
 */
const LOOK_EVERY_MS = 100;
const LOOK_WHILE_CONNECTED_MS = 3000;

export class PostmasterWatch {
  readonly #clock: Clock;
  readonly #programs: () => ReadonlySet<string>;
  readonly #listeners: Array<() => void> = [];
  #held: HeldProcess | null = null;
  #cancelLook: (() => void) | null = null;
  #connected = false;
  #scanned = false;
  #closed = false;

  constructor(clock: Clock, programs: () => ReadonlySet<string> = () => usualPrograms) {
    this.#clock = clock;
    this.#programs = programs;
  }

  onGone(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** The live postmaster; one that was started by somebody else is adopted here. */
  current(dataDir: string): HeldProcess | null {
    if (this.#held && this.#held.state() !== 'gone') return this.#held;
    if (this.#held) this.#lost(this.#held);
    const programs = this.#programs();
    let found = findPostmaster(dataDir, programs);
    if (found === null && !this.#scanned) found = findPostmasterByScan(dataDir, programs);
    // Without a pid file a postmaster can be found only if it was there before us, and a scan costs
    // milliseconds.
    this.#scanned = true;
    if (found) this.hold(found, null);
    return found;
  }

  /** Takes over a postmaster that was just spawned. */
  hold(process: HeldProcess, child: ChildProcess | null): void {
    this.#drop();
    if (this.#closed) {
      process.release();
      return;
    }
    this.#held = process;
    if (child) child.once('exit', () => this.#lost(process));
    else this.#look();
  }

  /**
   * Tells whether a connection to the server stands now. One that has just ended is a reason to
   * look.
   */
  connection(stands: boolean): void {
    this.#connected = stands;
    if (this.#cancelLook === null) return;
    this.#cancelLook();
    this.#lookNow();
  }

  /** PostgreSQL goes on. */
  close(): void {
    this.#closed = true;
    this.#drop();
    this.#listeners.length = 0;
  }

  #look(): void {
    this.#cancelLook = this.#clock.timer(this.#connected ? LOOK_WHILE_CONNECTED_MS : LOOK_EVERY_MS, () => this.#lookNow());
  }

  #lookNow(): void {
    const process = this.#held;
    if (process === null) return;
    if (process.state() === 'gone') this.#lost(process);
    else this.#look();
  }

  #lost(process: HeldProcess): void {
    if (this.#held !== process) return;
    this.#drop();
    for (const listener of this.#listeners) listener();
  }

  #drop(): void {
    this.#cancelLook?.();
    this.#cancelLook = null;
    this.#held?.release();
    this.#held = null;
  }
}
