/** What many runs came to. */
import type { Outcome, Verdict } from '../../test/sim/plan.ts';
import { EXIT } from './options.ts';

const HOUR_MS = 3_600_000;

export class Tally {
  seeds = 0;
  virtualMs = 0;
  events = 0;
  acknowledged = 0;
  readonly #kinds = new Map<string, { readonly verdict: Verdict; count: number }>();

  /** True when this is the first failure of its kind. */
  add(outcome: Outcome): boolean {
    this.seeds += 1;
    this.virtualMs += outcome.virtualMs;
    this.events += outcome.events;
    this.acknowledged += outcome.acknowledged;
    if (outcome.verdict === 'pass') return false;
    const kind = kindOf(outcome);
    const known = this.#kinds.get(kind);
    if (known === undefined) this.#kinds.set(kind, { verdict: outcome.verdict, count: 1 });
    else known.count += 1;
    return known === undefined;
  }

  get failures(): number {
    let count = 0;
    for (const kind of this.#kinds.values()) count += kind.count;
    return count;
  }

  /** Failures of this verdict. */
  failuresOf(wanted: Verdict): number {
    let count = 0;
    for (const kind of this.#kinds.values()) if (kind.verdict === wanted) count += kind.count;
    return count;
  }

  get hours(): number {
    return this.virtualMs / HOUR_MS;
  }

  /** `1 safety (S1), 2 liveness (S22)`. */
  kinds(): string {
    return [...this.#kinds].map(([kind, { count }]) => `${count} ${kind}`).join(', ');
  }

  /** The gravest counts. */
  exitCode(stopped: boolean): number {
    const verdicts = new Set([...this.#kinds.values()].map((kind) => kind.verdict));
    for (const verdict of ['safety', 'crash', 'liveness'] as const) if (verdicts.has(verdict)) return EXIT[verdict];
    return stopped ? EXIT.stopped : EXIT.pass;
  }
}

export const kindOf = ({ verdict, invariant }: Outcome): string => (invariant === undefined ? verdict : `${verdict} (${invariant})`);

export const sameFailure = (a: Outcome, b: Outcome): boolean => a.verdict === b.verdict && a.invariant === b.invariant;
