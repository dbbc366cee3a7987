/** Outcomes of work since the last round, until a round takes them as its facts. */
import type { ChoreOutcome } from '../core/chores.ts';
import type { JobOutcome } from '../core/effects.ts';
import type { Announcement, Memory, Observation } from '../core/model.ts';
import type { LogicalOutcome } from '../core/slots/logical-work.ts';

export type Told = Pick<Observation, 'ended' | 'chores' | 'announced' | 'logical'>;

export class News {
  #ended: JobOutcome[] = [];
  #chores: ChoreOutcome[] = [];
  #announced: Announcement[] = [];
  #logical: LogicalOutcome[] = [];

  jobEnded(outcome: JobOutcome): void {
    this.#ended.push(outcome);
  }

  /** A chore that works every time leaves nothing to remember. */
  choreEnded(outcome: ChoreOutcome, { chores }: Pick<Memory, 'chores'>): void {
    if (!outcome.ok || chores[outcome.kind] !== undefined) this.#chores.push(outcome);
  }

  announced(announcement: Announcement): void {
    this.#announced.push(announcement);
  }

  logicalEnded(outcome: LogicalOutcome): void {
    this.#logical.push(outcome);
  }

  take(): Told {
    const told = { ended: this.#ended.splice(0), chores: this.#chores.splice(0), announced: this.#announced.splice(0) };
    return this.#logical.length === 0 ? told : { ...told, logical: this.#logical.splice(0) };
  }

  /** Called when a round came to no decision. */
  giveBack({ ended, chores, announced, logical = [] }: Told): void {
    this.#ended.unshift(...ended);
    this.#chores.unshift(...chores);
    this.#announced.unshift(...announced);
    this.#logical.unshift(...logical);
  }
}
