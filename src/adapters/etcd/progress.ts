/**
 * The newest change below the cluster's prefix that is known by other means than the watch: what
 * the watch must have told by now.
 */
export class Progress {
  #changed = 0n;
  #generation = 0;
  readonly #listeners = new Set<() => void>();

  /** Mod revision of a change: seen by a read, or made by an own write. */
  changed(revision: bigint): void {
    if (revision <= this.#changed) return;
    this.#changed = revision;
    for (const listener of this.#listeners) listener();
  }

  /** Tells of every change newer than those before. Returns how to stop. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Changes known of `generation` of etcd's history; those of an older one are forgotten. */
  newest(generation: number): bigint {
    if (generation !== this.#generation) {
      this.#generation = generation;
      this.#changed = 0n;
    }
    return this.#changed;
  }
}
