/** A disk whose fsync may not return, and what waits for it. */
export class HangingDisk {
  hung = false;
  #waiting: Array<() => void> = [];

  /** At once, or when the disk works again. */
  whenItWorks(run: () => void): void {
    if (this.hung) this.#waiting.push(run);
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
