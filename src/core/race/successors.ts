/** To which members a leader could hand over, and why not to each other. */
import { type ClusterView, clusterTimeline, mayLead } from '../cluster.ts';
import type { Context } from '../context.ts';
import { type Answer, answerOf, type DrawnTable, firstAnswer, type Row } from '../decision-table.ts';
import { pastSwitchPoint } from '../divergence.ts';
import type { PeerFacts } from '../peer-facts.ts';
import type { DynamicSettings } from '../settings.ts';
import { strays } from '../strays.ts';
import { lagBytes } from '../units.ts';
import { countsVotes, includes, syncVoters } from '../voters.ts';
import { isBeforeCluster, isForeign } from './positions.ts';

/** The member says nothing that keeps it from leading. */
export const eligible = (peer: PeerFacts): boolean => !ownWordRows.some(({ when }) => when({ peer }));

/** The member has WAL that is not in the cluster's history, by its own word or by /history. */
export const leftHistory = (peer: PeerFacts, view: ClusterView): boolean => ownHistoryRows.some(({ when }) => when({ peer, view }));

interface SuccessorFacts {
  readonly peer: PeerFacts;
  readonly view: ClusterView;
  readonly dynamic: DynamicSettings;
  /** /sync does not prove that it has all that was acknowledged, or an operator chooses. */
  readonly lagCounts: boolean;
}

const silent: Row<null, 'unfit'> = {
  id: 'successor.silent',
  situation: 'its agent does not answer',
  when: () => true,
  verdict: 'unfit',
  because: () => 'does not answer',
};

/**
 * What a member says itself that keeps it from leading. In a race the others do not wait for such a
 * member, and leave the leader key to no such member.
 */
const ownWordRows: readonly Row<{ readonly peer: PeerFacts }, 'unfit'>[] = [
  {
    id: 'successor.nofailover',
    situation: 'it is tagged nofailover, or has failover_priority 0',
    when: ({ peer }) => !mayLead(peer.tags),
    verdict: 'unfit',
    because: ({ peer }) => (peer.tags.nofailover === true ? 'is tagged nofailover' : 'has failover_priority 0'),
  },
  {
    id: 'successor.watchdog',
    situation: 'it must have a watchdog and has none that works',
    when: ({ peer }) => peer.watchdogFailed,
    verdict: 'unfit',
    because: () => 'has no working watchdog',
  },
  {
    id: 'successor.cannot-be-promoted',
    situation: 'it says that it cannot be promoted',
    when: ({ peer }) => peer.promotionTrouble !== undefined,
    verdict: 'unfit',
    because: ({ peer }) => `cannot be promoted: ${peer.promotionTrouble}`,
  },
  {
    id: 'successor.not-running',
    situation: 'its PostgreSQL does not run',
    when: ({ peer }) => peer.state !== 'running' && peer.state !== 'streaming',
    verdict: 'unfit',
    because: ({ peer }) => `is ${peer.state}`,
  },
];

/** What shows that its data are not a part of the cluster's history. */
const ownHistoryRows: readonly Row<{ readonly peer: PeerFacts; readonly view: ClusterView }, 'unfit'>[] = [
  {
    id: 'successor.strayed',
    situation: 'it has WAL of its own that was written by hand',
    when: ({ peer }) => peer.strayed === true,
    verdict: 'unfit',
    because: () => 'has WAL of its own that was written by hand',
  },
  {
    id: 'successor.diverged',
    situation: 'its data left the cluster’s history',
    when: ({ peer, view }) => pastSwitchPoint(peer.timeline, peer.lsn, view.history),
    verdict: 'unfit',
    because: () => 'has data that diverged from the cluster’s history',
  },
];

/** `because` goes behind the member's name in a sentence. */
const successorRows: readonly Row<SuccessorFacts, 'unfit'>[] = [
  {
    id: 'successor.foreign',
    situation: 'it has the data of another cluster',
    when: ({ peer, view }) => isForeign(peer, view),
    verdict: 'unfit',
    because: () => 'has the data of another cluster',
  },
  ...ownWordRows,
  {
    id: 'successor.keeps-out',
    situation: 'it keeps out of the race, because a promotion or a start of it failed a moment ago',
    when: ({ peer }) => peer.keepsOut === true,
    verdict: 'unfit',
    because: () => 'keeps out of the race for now: a promotion or a start of it failed a moment ago',
  },
  {
    id: 'successor.not-a-standby',
    situation: 'it is not a standby',
    when: ({ peer }) => !peer.inRecovery,
    verdict: 'unfit',
    because: () => 'is not a standby',
  },
  {
    id: 'successor.no-position',
    situation: 'it does not tell its WAL position',
    when: ({ peer }) => peer.lsn === null,
    verdict: 'unfit',
    because: () => 'does not tell its WAL position',
  },
  {
    id: 'successor.restored',
    situation: 'a base backup was restored there, and it has not caught up yet',
    when: ({ peer }) => peer.restored === true,
    verdict: 'unfit',
    because: () => 'was restored from a base backup and has not caught up yet',
  },
  ...ownHistoryRows,
  {
    id: 'successor.too-far-behind',
    situation: 'it is more than maximum_lag_on_failover behind',
    when: (f) => f.lagCounts && peerLagBytes(f) > f.dynamic.maximumLagOnFailoverBytes,
    verdict: 'unfit',
    because: (f) => `is ${peerLagBytes(f)} bytes behind, more than maximum_lag_on_failover allows`,
  },
  {
    id: 'successor.earlier-timeline',
    situation: 'check_timeline is on, and it is on an earlier timeline than the cluster',
    when: ({ peer, view, dynamic }) => dynamic.checkTimeline && isBeforeCluster(view, peer.timeline),
    verdict: 'unfit',
    because: ({ peer, view }) => `is on timeline ${peer.timeline ?? 'unknown'}, the cluster on ${clusterTimeline(view)}`,
  },
];

export const successorTable: DrawnTable = {
  title: 'May a leader hand over to a member',
  situation: 'an operator asked for a switchover or failover, or this leader ends',
  rows: [silent, ...successorRows],
};

function peerLagBytes({ peer, view }: SuccessorFacts): number {
  const optime = view.status?.optime ?? null;
  return optime === null || peer.lsn === null ? 0 : lagBytes(optime, peer.lsn);
}

/** Why a leader cannot hand over to this member; null: nothing is in the way. */
export function unfit(peer: PeerFacts | undefined, view: ClusterView, dynamic: DynamicSettings, lagCounts = true): Answer<'unfit'> | null {
  return peer === undefined ? answerOf(silent, null) : firstAnswer(successorRows, { peer, view, dynamic, lagCounts });
}

interface Choice {
  readonly exceptCandidate?: string | null;
  readonly only?: string | null;
  /** An operator's failover: it may go to a member outside the synchronous set. */
  readonly manual?: boolean;
  /**
   * This leader cannot go on: another is better than none, as far as nothing acknowledged is lost.
   */
  readonly despiteLag?: boolean;
}

/** The members to which a leader could hand over. */
export function possibleSuccessors(
  c: Context,
  view: ClusterView,
  { exceptCandidate, only, manual, despiteLag }: Choice,
): readonly string[] {
  const { dynamic } = c.o.settings;
  const voters = syncVoters(view, dynamic.synchronousMode);
  const proves = (name: string) => voters !== null && (countsVotes(view, dynamic.synchronousMode) || includes(voters, name));
  const onlyVoters = dynamic.synchronousMode === 'on' && voters !== null && !manual;
  const names = view.members.map(({ name }) => name).filter((name) => name !== c.me);
  const good = names
    .filter((name) => name !== exceptCandidate)
    .filter((name) => (only == null || name === only) && (!onlyVoters || includes(voters, name)))
    .filter((name) => unfit(c.o.peers?.get(name), view, dynamic, !(despiteLag && proves(name))) === null && !strays(c, name));
  return only == null && votesLacking(c, view) !== null ? [] : good;
}

/** How many votes a successor needs, where the others do not have them; null: it is enough. */
export function votesLacking(c: Context, view: ClusterView): number | null {
  const { synchronousMode } = c.o.settings.dynamic;
  const voters = syncVoters(view, synchronousMode);
  if (voters === null || !countsVotes(view, synchronousMode)) return null;
  const needed = (view.sync?.quorum ?? 0) + 1;
  const votes = view.members.filter(
    ({ name }) => name !== c.me && includes(voters, name) && mayVote(c.o.peers?.get(name), view) && !strays(c, name),
  );
  return votes.length < needed ? needed : null;
}

/** In the race for the key it can prove what it has, whether or not it may lead itself. */
function mayVote(peer: PeerFacts | undefined, view: ClusterView): boolean {
  if (peer === undefined || !peer.inRecovery || peer.lsn === null || peer.restored === true) return false;
  return !isForeign(peer, view) && !leftHistory(peer, view);
}
