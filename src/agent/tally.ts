/** What has happened since this agent began, for GET /metrics. */
import type { ClusterView, FailoverKey } from '../core/cluster.ts';
import type { JobKind } from '../core/effects.ts';
import type { Memory, Observation } from '../core/model.ts';
import { type Counts, noCounts } from '../ports/agent-status.ts';

type Count = keyof Counts;

const BY_JOB: Readonly<Partial<Record<JobKind, readonly [done: Count | null, failed: Count | null]>>> = {
  promote: ['promotions', 'promotionFailures'],
  rewind: ['rewinds', 'rewindFailures'],
  clone: ['clones', 'cloneFailures'],
  reinitialize: ['clones', 'cloneFailures'],
  start: [null, 'startFailures'],
  restart: [null, 'startFailures'],
};

export class Tally {
  #counts: Counts = noCounts;
  #first = true;
  #leader: string | null = null;
  /** What an operator had asked for when another member, or none, still led. */
  #asked = false;

  get counts(): Counts {
    return this.#counts;
  }

  add(count: Count): void {
    this.#counts = { ...this.#counts, [count]: this.#counts[count] + 1 };
  }

  /** After a round's decision. `after`: as its facts left the memory. */
  note(before: Memory, after: Memory, { dcs, ended, wallMs }: Observation): void {
    // The first round of an agent finds a role, and changes none.
    if (!this.#first && before.role !== after.role) {
      this.add('roleChanges');
      if (before.role === 'primary') this.add('demotions');
    }
    this.#first = false;
    for (const { job, ok } of ended) {
      const count = BY_JOB[job.kind]?.[ok ? 0 : 1];
      if (count) this.add(count);
    }
    if (dcs.known) this.#noteLeader(dcs.view, wallMs);
    else this.add('etcdFailures');
  }

  #noteLeader({ leader, failover }: ClusterView, wallMs: number): void {
    const due = isDue(failover, wallMs);
    if (leader !== null && leader.name !== this.#leader) {
      if (this.#leader !== null) {
        this.add('leaderChanges');
        if (!this.#asked && !due) this.add('failovers');
      }
      this.#leader = leader.name;
    }
    this.#asked = due;
  }
}

function isDue(request: FailoverKey | null, wallMs: number): boolean {
  return request !== null && (request.scheduledAtMs === null || request.scheduledAtMs <= wallMs);
}
