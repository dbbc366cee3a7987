/** What the clients tried and were told: the lines of history.jsonl, and what follows from them. */

interface Try {
  /** Of the client: `router-1`, `node2-patient`. */
  readonly by: string;
  /** Number of the row; no number is tried twice. */
  readonly id: number;
  /** CLOCK_MONOTONIC of the machine, ms: when it was sent, and when its outcome was known. */
  readonly sentMs: number;
  readonly atMs: number;
}

export interface Ack extends Try {
  readonly node: string;
  readonly timeline: number;
}

/** Its fate is unknown, unless it was refused: then it must not be there. */
export interface Failure extends Try {
  readonly error: string;
  readonly refused: boolean;
}

export type Outcome = Ack | Failure;

export const isAck = (outcome: Outcome): outcome is Ack => 'node' in outcome;

export const lineOf = (outcome: Outcome): string => `${JSON.stringify(outcome)}\n`;

/** Complete lines only; the rest, which is still being written, is handed back. */
export function parseLines(text: string): { readonly outcomes: Outcome[]; readonly rest: string } {
  const lines = text.split('\n');
  const rest = lines.pop()!;
  return { outcomes: lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Outcome), rest };
}

export const ROUTER_CLIENT = /^router-/;

/**
 * The longest time without an acknowledgement that touches the span; its end counts as one. null:
 * there was none before the span.
 */
export function outageMs(acksMs: readonly number[], fromMs: number, untilMs: number): number | null {
  const first = acksMs.findLastIndex((atMs) => atMs <= fromMs);
  if (first < 0) return null;
  const times = [...acksMs.slice(first).filter((atMs) => atMs < untilMs), untilMs];
  return Math.max(...times.slice(1).map((atMs, i) => atMs - times[i]!));
}

interface Reign {
  readonly timeline: number;
  readonly nodes: Set<string>;
  first: Ack;
  /** The acknowledged write that was sent last. */
  lastSent: Ack;
  last: Ack;
}

export interface Overlap {
  readonly old: Ack;
  readonly next: Ack;
}

/**
 * Whose acknowledgements came when. A timeline is one primary's: two nodes on one timeline are an
 * error, and so is a write that was sent after a later timeline had acknowledged one, and was yet
 * acknowledged. A write sent before may be told later: it was under way (a frozen server thaws and
 * tells what had been confirmed); that it is not lost is checked apart.
 */
export class Reigns {
  readonly #reigns = new Map<number, Reign>();
  /** From one primary to the next, and back. */
  changes = 0;
  #node: string | null = null;

  add(ack: Ack): void {
    const reign = this.#reigns.get(ack.timeline);
    if (reign === undefined) {
      this.#reigns.set(ack.timeline, { timeline: ack.timeline, nodes: new Set([ack.node]), first: ack, lastSent: ack, last: ack });
      if (this.#node !== null && this.#node !== ack.node) this.changes += 1;
      this.#node = ack.node;
      return;
    }
    reign.nodes.add(ack.node);
    if (ack.atMs < reign.first.atMs) reign.first = ack;
    if (ack.sentMs > reign.lastSent.sentMs) reign.lastSent = ack;
    if (ack.atMs > reign.last.atMs) reign.last = ack;
  }

  get timelines(): number {
    return this.#reigns.size;
  }

  twins(): string[] {
    return this.#sorted()
      .filter(({ nodes }) => nodes.size > 1)
      .map(({ timeline, nodes }) => `${[...nodes].join(' and ')} both acknowledged on timeline ${timeline}`);
  }

  overlaps(): Overlap[] {
    return this.#pairs().flatMap(({ old, firstAfter }) =>
      old.lastSent.sentMs > firstAfter.atMs ? [{ old: old.lastSent, next: firstAfter }] : [],
    );
  }

  /** How late writes that had been under way were told, ms after the next primary's first. */
  latenessMs(): number[] {
    return this.#pairs().flatMap(({ old, firstAfter }) => (old.last.atMs > firstAfter.atMs ? [old.last.atMs - firstAfter.atMs] : []));
  }

  #sorted(): Reign[] {
    return [...this.#reigns.values()].sort((a, b) => a.timeline - b.timeline);
  }

  /** Each timeline with the earliest acknowledgement on any later one. */
  #pairs(): ReadonlyArray<{ readonly old: Reign; readonly firstAfter: Ack }> {
    const sorted = this.#sorted();
    return sorted.slice(0, -1).map((old, i) => ({
      old,
      firstAfter: sorted.slice(i + 1).reduce((least, { first }) => (first.atMs < least.atMs ? first : least), sorted[i + 1]!.first),
    }));
  }
}
