/** A disk whose fsync may not return, and what waits for it. */
export class HangingDisk {
  /** Since when (true ms); null: it works. */
  sinceMs: number | null = null;
  #waiting: Array<() => void> = [];

  /** At once, or when the disk works again. */
  whenItWorks(run: () => void): void {
    if (this.sinceMs !== null) this.#waiting.push(run);
    else run();
  }

  goOn(): void {
    for (const run of this.#waiting.splice(0)) run();
  }

  /** The processes that waited are gone. */
  forget(): void {
    this.#waiting = [];
  }
}
