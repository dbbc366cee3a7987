/**
 * Events only wake the loop: they are counted here, and the loop takes notice between two rounds.
 */
import type { Clock } from '../ports/clock.ts';

export class Wake {
  readonly #clock: Pick<Clock, 'bootMs' | 'timer'>;
  #pending = false;
  #release: (() => void) | null = null;
  #leadership: AbortController | null = null;
  /** Changes of other members' keys wake too. */
  watchMembers = false;
  /** So does one of /status. */
  watchStatus = false;

  constructor(clock: Pick<Clock, 'bootMs' | 'timer'>) {
    this.#clock = clock;
  }

  /** Asks for a round as soon as the present one is over. */
  now(): void {
    this.#pending = true;
    this.#release?.();
  }

  /**
   * Aborted at the next change of the leader key. Questions to the former leader may never be
   * answered, and their answers are useless then.
   */
  untilLeaderChanges(): AbortSignal {
    this.#leadership ??= new AbortController();
    return this.#leadership.signal;
  }

  /** The leader may be gone: what was asked of it may never be answered either. */
  leaderInDoubt(): void {
    this.#leadership?.abort();
    this.#leadership = null;
    this.now();
  }

  /**
   * Whether a change of this key is worth a round. Own writes of member, status and history keys
   * are not.
   */
  onKey(key: string | null, me: string): void {
    if (key === null || key === 'leader') {
      this.#leadership?.abort();
      this.#leadership = null;
    }
    const always = key === null || key === 'leader' || key === 'config' || key === 'failover' || key === 'initialize';
    const isAwaited = key === 'status' ? this.watchStatus : this.watchMembers && key?.startsWith('members/') && key !== `members/${me}`;
    if (always || isAwaited) this.now();
  }

  /** Resolves when asked for a round, or at the moment given (Clock.bootMs). */
  async until(dueAtMs: number): Promise<void> {
    const waitMs = dueAtMs - this.#clock.bootMs();
    if (!this.#pending && waitMs > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.#clock.timer(waitMs, resolve);
        this.#release = () => {
          cancel();
          resolve();
        };
      });
      this.#release = null;
    }
    this.#pending = false;
  }
}
