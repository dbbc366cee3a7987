/** May this standby enter the race for the free leader key at all, whatever the others have? */
import { clusterTimeline, mayLead, memberOf, sameName } from '../cluster.ts';
import type { Context } from '../context.ts';
import type { Row } from '../decision-table.ts';
import { keepsOut, promotionsFailing } from '../failed-promotions.ts';
import { isOutsideFailsafe, mayStandBy, otherStandsBy, standsBy } from '../failsafe.ts';
import type { PeerFacts } from '../peer-facts.ts';
import { isBound, otherVouches } from '../quorum/vouching.ts';
import { backoffText, backsOff } from './backoff.ts';
import {
  hasDiverged,
  isOutsideSync,
  isRestoredVoter,
  isTooFarBehind,
  isVoter,
  mayProveDiverged,
  ownLagBytes,
  type RaceFacts,
  type RaceVerdict,
} from './facts.ts';
import { standsBack } from './operator-request.ts';
import { isBeforeCluster } from './positions.ts';
import { eligible, possibleSuccessors } from './successors.ts';

/** Before there are any facts to look at. */
export const notAsked: Row<Context, RaceVerdict> = {
  id: 'race.not-asked',
  situation: 'the other members have not been asked in this round',
  when: () => true,
  verdict: 'leave',
  because: () => 'the other members have not been asked yet',
};

const ONLY_BY_NAME = 'only an operator’s failover to it by name would make it lead';

export const entryRows: readonly Row<RaceFacts, RaceVerdict>[] = [
  {
    id: 'race.gave-up-lead',
    situation: 'this node gave the leader key up because a promotion or a start failed, less than one ttl ago (at least 10 s)',
    when: ({ c }) => keepsOut(c),
    verdict: 'leave',
    because: () => 'this node gave the leader key up a moment ago and keeps out of the race',
  },
  {
    id: 'race.backoff',
    situation:
      'primary_race_backoff is set, its time is not over, and nobody has led for less than one loop_wait, or WAL still comes; no operator’s request is due, and the last leader does not say that its PostgreSQL is down',
    when: ({ c }) => c.unlocked && backsOff(c, c.m.leaderlessSinceMs),
    verdict: 'leave',
    because: ({ c }) => backoffText(c, c.m.leaderlessSinceMs),
  },
  {
    id: 'race.vouched',
    situation: 'this node has vouched for the last leader, or its agent before may have, and that time is not over',
    when: (f) => isVoter(f, f.c.me) && isBound(f.c),
    verdict: 'leave for now',
    because: () => 'this node may have vouched for the last leader a moment ago',
  },
  {
    id: 'race.others-vouch',
    situation:
      'another member says that it has vouched for a leader other than this node, and that time is not over: that one may go on without its key',
    when: ({ c }) => otherVouches(c) !== null,
    verdict: 'leave for now',
    because: ({ c }) => {
      const { name, leader } = otherVouches(c) ?? {};
      return `${name} has vouched for ${leader}, which may go on without its key`;
    },
  },
  {
    id: 'race.failsafe',
    situation:
      'less than one ttl ago, this node has agreed to failsafe mode of the last leader, which does not say that it is no primary any more',
    when: ({ c }) => standsBy(c) !== null,
    verdict: 'leave',
    because: ({ c }) => `this node has agreed to failsafe mode of ${standsBy(c)}, which may go on without its key`,
  },
  {
    id: 'race.failsafe-before',
    situation:
      'failsafe mode is on, and the agent before this one may have agreed to it, less than one ttl ago: a member of the failsafe map does not say that it is no primary',
    when: ({ c }) => mayStandBy(c).length > 0,
    verdict: 'leave',
    because: ({ c }) => `the agent before this one may have agreed to failsafe mode of ${mayStandBy(c).join(' or ')}`,
  },
  {
    id: 'race.others-failsafe',
    situation: 'another member has agreed to failsafe mode of the last leader, which does not say that it is no primary any more',
    when: ({ c }) => otherStandsBy(c) !== null,
    verdict: 'leave',
    because: ({ c }) => {
      const { name, leader } = otherStandsBy(c) ?? {};
      return name === leader
        ? `${leader} goes on by failsafe mode`
        : `${name} has agreed to failsafe mode of ${leader}, which may go on without its key`;
    },
  },
  {
    id: 'race.promotions-failing',
    situation: 'several promotions of this node failed in a row, and another standby could lead',
    when: (f) => promotionsFailing(f.c) !== null && ableStandby(f) !== undefined,
    verdict: 'leave',
    because: (f) => `${promotionsFailing(f.c)}: the leader key is left to ${ableStandby(f)?.name}`,
  },
  {
    id: 'race.candidate-first',
    situation: 'an operator named another member, which could lead, and one ttl has not passed without a leader',
    when: (f) => f.request !== null && standsBack(f.c) && namedAndAble(f),
    verdict: 'leave',
    because: ({ request }) => `the operator named ${request?.candidate}, which is healthy`,
  },
  {
    id: 'race.switched-away',
    situation: 'an operator asked for a switchover away from this node, another could lead, and one ttl has not passed without a leader',
    when: (f) => f.request?.leader === f.c.me && f.standsAs === 'member' && standsBack(f.c) && othersCanLead(f),
    verdict: 'leave',
    because: () => 'this node is being switched away from, and another can take over',
  },
  {
    id: 'race.failover-candidate',
    situation: 'an operator’s failover names this node: that overrides everything below',
    when: ({ standsAs }) => standsAs === 'candidate of a failover',
    verdict: 'take',
    because: () => 'this node is the candidate the operator named',
  },
  {
    id: 'race.nofailover',
    situation: 'this node is tagged nofailover, or has failover_priority 0',
    when: ({ c, standsAs }) => standsAs === 'member' && !mayLead(c.o.settings.local.tags),
    verdict: 'leave',
    because: () => 'this node is tagged nofailover',
  },
  {
    id: 'race.outside-failsafe',
    situation:
      'failsafe mode is on, the failsafe map does not name this node, so that a leader that goes on by it has not asked it, and not every member of the map says that it is none',
    when: ({ c, standsAs }) => standsAs === 'member' && isOutsideFailsafe(c),
    verdict: 'leave',
    because: ({ c }) => `the failsafe map does not name this node; ${Object.keys(c.view?.failsafe?.map ?? {}).join(', ')} may lead`,
  },
  {
    id: 'race.watchdog',
    situation: 'the watchdog is required and cannot be used, and no operator named this node',
    when: ({ c, standsAs }) => standsAs === 'member' && c.o.watchdog.required && !c.o.watchdog.healthy,
    verdict: 'leave',
    because: () => 'the watchdog is required and not usable here',
  },
  {
    id: 'race.cannot-be-promoted',
    situation: 'the disk of this node does not let PostgreSQL be promoted',
    when: ({ c }) => c.o.pg.promotionTrouble !== undefined,
    verdict: 'leave',
    because: ({ c }) => `this node cannot be promoted: ${c.o.pg.promotionTrouble}`,
  },
  {
    id: 'race.not-synchronous',
    situation: 'synchronous_mode is on, and /sync does not name this node',
    when: isOutsideSync,
    verdict: 'leave',
    because: ({ voters }) => `this node is not a synchronous standby; ${voters?.join(', ')} may lead`,
  },
  {
    id: 'race.restored',
    situation: '/sync names this node, and a base backup has replaced its data since',
    when: isRestoredVoter,
    verdict: 'leave',
    because: () => `a base backup was restored on this node, which may lack what it had confirmed; ${ONLY_BY_NAME}`,
  },
  {
    id: 'race.no-position',
    situation: 'PostgreSQL does not tell this node’s WAL position',
    when: (f) => f.own === null && isCompared(f),
    verdict: 'leave',
    because: () => 'the own WAL position is not known',
  },
  {
    id: 'race.diverged',
    situation: 'the data of this node left the cluster’s history, by /history, /status or its own mark',
    when: hasDiverged,
    verdict: 'leave',
    because: () => `the data of this node diverged from the cluster’s history; ${ONLY_BY_NAME}`,
  },
  {
    id: 'race.too-far-behind',
    situation:
      'this node is more than maximum_lag_on_failover behind the last leader, and /sync does not prove that it has all that was acknowledged',
    when: isTooFarBehind,
    verdict: 'leave',
    because: (f) => `this node is ${ownLagBytes(f)} bytes behind the last leader, more than maximum_lag_on_failover`,
  },
  {
    id: 'race.earlier-timeline',
    situation: 'this node is on an earlier timeline than the cluster, and check_timeline is on or /sync names another member',
    when: (f) => isCompared(f) && needsClusterTimeline(f) && isBeforeCluster(f.view, f.own?.timeline ?? null),
    verdict: 'leave',
    because: ({ view, own }) =>
      `this node is on timeline ${own?.timeline ?? 'unknown'}, the cluster is on ${clusterTimeline(view)}, which ${view.history.at(-1)?.newLeader ?? 'another'} began`,
  },
  {
    id: 'race.not-at-its-end',
    situation: 'this node still receives or replays WAL of a timeline that the cluster has left',
    when: mayProveDiverged,
    verdict: 'leave for now',
    because: () =>
      'this node still receives or replays WAL of a timeline that the cluster has left, and may be past that point before it is promoted',
  },
  {
    id: 'race.switchover-candidate',
    situation: 'an operator’s switchover names this node, and no votes are counted: the leader has compared the positions',
    when: (f) => !isCompared(f),
    verdict: 'take',
    because: () => 'this node is the candidate the operator named',
  },
];

/** The other members' positions count. A leader that hands over has compared them itself. */
const isCompared = ({ standsAs, byVotes }: RaceFacts): boolean => standsAs === 'member' || byVotes;

/** In mode on, only those that /sync names may lead. */
function ableStandby(f: RaceFacts): PeerFacts | undefined {
  const mayLeadBySync = (name: string) => f.c.o.settings.dynamic.synchronousMode !== 'on' || f.voters === null || isVoter(f, name);
  return [...f.peers.values()].find((peer) => peer.inRecovery && eligible(peer) && mayLeadBySync(peer.name));
}

/**
 * Where votes are counted, nobody gives one to a candidate that is behind. That of a failover needs
 * none.
 */
function namedAndAble({ c, view, peers, request, own, byVotes }: RaceFacts): boolean {
  const candidate = request?.candidate ?? null;
  if (candidate === null || candidate === c.me) return false;
  const peer = peers.get(candidate);
  if (peer === undefined || peer.keepsOut === true || !eligible(peer) || memberOf(view, candidate) === null) return false;
  return request?.leader === null || !byVotes || own === null || peer.lsn === null || peer.lsn >= own.lsn;
}

function othersCanLead({ c, view, request }: RaceFacts): boolean {
  return possibleSuccessors(c, view, { exceptCandidate: request?.candidate ?? null }).length > 0;
}

/**
 * If this node were promoted on an earlier timeline, its new timeline could get the number of the
 * last leader's. The wrong one of the two could then win the next race (M13). Where no acknowledged
 * commit may be lost, the cluster waits for that leader, or for an operator's failover by name.
 * Where /sync names this node alone it was about to lead already, and nobody else may.
 */
function needsClusterTimeline({ c, voters }: RaceFacts): boolean {
  return c.o.settings.dynamic.checkTimeline || voters?.some((name) => !sameName(name, c.me)) === true;
}
