/**
 * Does this node miss the leader? By its own clock and its own evidence: what another says about
 * the leader never counts here.
 */
import { sameName } from '../cluster.ts';
import type { Context } from '../context.ts';
import { type Answer, type DrawnTable, onlyAnswer, type Row } from '../decision-table.ts';
import { includes } from '../voters.ts';
import { type QuorumFence, quorumFence } from './in-force.ts';
import type { Knocks } from './link-facts.ts';

export interface SuspicionFacts {
  readonly leader: string;
  /** It says so itself, in its last beat. */
  readonly resigned: boolean;
  /** Since its last beat, or since this node has listened for one. */
  readonly silentMs: number;
  readonly suspectAfterMs: number;
  readonly knocks: Knocks | null;
}

export type Suspicion = 'missed' | 'heard';

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

const at = ({ knocks }: SuspicionFacts) => (knocks?.postgres === 'refused' ? 'refuses connections' : 'does not answer');

export const suspicionRows: readonly Row<SuspicionFacts, Suspicion>[] = [
  {
    id: 'leader.gone',
    situation: 'its agent and its PostgreSQL both refused connections, twice: the processes are gone, the machine lives',
    when: ({ knocks }) => knocks?.refusedTwice === true,
    verdict: 'missed',
    because: ({ leader }) => `nothing listens at the ports of ${leader} any more`,
  },
  {
    id: 'leader.resigned',
    situation: 'it says in its beats that it cannot serve: its disk hangs, its PostgreSQL does not answer, or nobody is heard there',
    when: ({ resigned }) => resigned,
    verdict: 'missed',
    because: ({ leader }) => `${leader} says itself that it cannot serve`,
  },
  {
    id: 'leader.silent',
    situation: 'no beat for suspect_after, and its PostgreSQL does not answer: it is dead, frozen or cut off',
    when: (f) => f.silentMs >= f.suspectAfterMs && f.knocks !== null && f.knocks.postgres !== 'answered',
    verdict: 'missed',
    because: (f) => `no beat from ${f.leader} for ${seconds(f.silentMs)}, and its PostgreSQL ${at(f)}`,
  },
  {
    id: 'leader.agent-away',
    situation: 'no beat for suspect_after, but its PostgreSQL answers: clients are served, and a failover would be the outage',
    when: (f) => f.silentMs >= f.suspectAfterMs && f.knocks !== null,
    verdict: 'heard',
    because: (f) => `no beat from ${f.leader} for ${seconds(f.silentMs)}, but its PostgreSQL answers`,
  },
  {
    id: 'leader.heard',
    situation: 'otherwise',
    when: () => true,
    verdict: 'heard',
    because: ({ leader }) => `${leader} was heard a moment ago`,
  },
];

export const suspicionTable: DrawnTable = {
  title: 'Does a voter miss the leader',
  situation: 'the voters’ promises are the fence in force; each member judges for itself',
  rows: suspicionRows,
};

export interface Watched {
  readonly fence: QuorumFence;
  /** This node is one of its voters. */
  readonly isVoter: boolean;
  readonly suspicion: Answer<Suspicion>;
}

/** Null: another does not lead, or the lease decides. */
export function watched(c: Context): Watched | null {
  const { dynamic } = c.o.settings;
  const fence = c.otherLeader === null ? null : quorumFence(c.view, dynamic);
  if (fence === null) return null;
  const { heard, watchingSinceMs, knocks } = c.o.links;
  const itsOwn = heard !== null && sameName(heard.leader, fence.leader) ? heard : null;
  const lastMs = Math.max(itsOwn?.atMs ?? watchingSinceMs, watchingSinceMs);
  const { suspectAfterMs } = dynamic;
  const resigned = itsOwn?.resignedTerm === fence.term;
  const suspicion = onlyAnswer(suspicionRows, { leader: fence.leader, resigned, silentMs: c.o.nowMs - lastMs, suspectAfterMs, knocks });
  return { fence, isVoter: includes(fence.voters, c.me), suspicion };
}

/** This node misses the leader whose fence is the voters' promises. */
export const missesLeader = (c: Context): boolean => watched(c)?.suspicion.verdict === 'missed';
