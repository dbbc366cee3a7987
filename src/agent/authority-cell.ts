/** Where the authority of a running agent is kept: one value, changed by events alone. */
import { type Authority, type AuthorityEvent, authorityAfter, noAuthority } from '../core/authority.ts';
import { patienceMs } from '../core/patience.ts';
import type { Clock } from '../ports/clock.ts';

export type AuthorityView = Pick<AuthorityCell, 'now' | 'patienceMs'>;

export class AuthorityCell {
  readonly #clock: Pick<Clock, 'bootMs'>;
  #now: Authority;

  constructor(clock: Pick<Clock, 'bootMs'>, ttlSeconds: number) {
    this.#clock = clock;
    this.#now = noAuthority(ttlSeconds);
  }

  get now(): Authority {
    return this.#now;
  }

  note(event: AuthorityEvent): void {
    this.#now = authorityAfter(this.#now, event);
  }

  /** How long a call may take now that usually may take `mostMs`, and at least `leastMs`. */
  patienceMs(mostMs: number, leastMs?: number): number {
    return patienceMs(this.#now, this.#clock.bootMs(), mostMs, leastMs);
  }
}
