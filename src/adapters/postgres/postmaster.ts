/** Holds on to the postmaster of the data directory and tells when it is gone. */
import type { ChildProcess } from 'node:child_process';
import type { Clock } from '../../ports/clock.ts';
import { findPostmaster, findPostmasterByScan, type HeldProcess } from './detect.ts';

/** An adopted postmaster's death raises no event, so it is looked for. One look is a read of 512 bytes from /proc. */
const LOOK_EVERY_MS = 100;

export class PostmasterWatch {
  private readonly clock: Clock;
  private readonly listeners: Array<() => void> = [];
  private held: HeldProcess | null = null;
  private cancelLook: (() => void) | null = null;
  private scanned = false;
  private closed = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  onGone(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** The live postmaster; one that was started by somebody else is adopted here. */
  current(dataDir: string): HeldProcess | null {
    if (this.held && this.held.state() !== 'gone') return this.held;
    if (this.held) this.lost(this.held);
    let found = findPostmaster(dataDir);
    if (found === null && !this.scanned) found = findPostmasterByScan(dataDir);
    // Without a pid file there is something to find only if it was there before us: a scan costs milliseconds.
    this.scanned = true;
    if (found) this.hold(found, null);
    return found;
  }

  /** Takes over a postmaster that was just spawned. */
  hold(process: HeldProcess, child: ChildProcess | null): void {
    this.drop();
    if (this.closed) {
      process.release();
      return;
    }
    this.held = process;
    if (child) child.once('exit', () => this.lost(process));
    else this.look();
  }

  /** PostgreSQL goes on. */
  close(): void {
    this.closed = true;
    this.drop();
    this.listeners.length = 0;
  }

  private look(): void {
    this.cancelLook = this.clock.timer(LOOK_EVERY_MS, () => {
      const process = this.held;
      if (process === null) return;
      if (process.state() === 'gone') this.lost(process);
      else this.look();
    });
  }

  private lost(process: HeldProcess): void {
    if (this.held !== process) return;
    this.drop();
    for (const listener of this.listeners) listener();
  }

  private drop(): void {
    this.cancelLook?.();
    this.cancelLook = null;
    this.held?.release();
    this.held = null;
  }
}
