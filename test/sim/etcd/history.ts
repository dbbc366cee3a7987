/** What happened to the keys, by revision: what a watch tells, also long after. */

/** Kept at least, as etcd's own compaction does. */
const KEPT = 2000;

export class History {
  /** Of consecutive revisions: the events as a watch's answer has them. */
  #entries: Array<{ readonly revision: bigint; readonly events: string }> = [];
  #compacted = 0n;

  /** Of revisions before this one nothing is known. */
  get compacted(): bigint {
    return this.#compacted;
  }

  add(revision: bigint, events: string): void {
    this.#entries.push({ revision, events });
    if (this.#entries.length > 2 * KEPT) this.compact(revision - BigInt(KEPT));
  }

  compact(revision: bigint): void {
    this.#compacted = revision;
    this.#entries = this.#entries.filter((entry) => entry.revision >= revision);
  }

  /** Null: there were none. */
  eventsOf(revision: bigint): string | null {
    const first = this.#entries[0]?.revision;
    if (first === undefined || revision < first) return null;
    return this.#entries[Number(revision - first)]?.events ?? null;
  }
}
