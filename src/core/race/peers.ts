/** What the answer of each other member means for this node's try to take the leader key. */
import { failoverPriority, mayLead, sameName } from '../cluster.ts';
import { type Answer, onlyAnswer, type Row } from '../decision-table.ts';
import { pastSwitchPoint } from '../divergence.ts';
import type { PeerFacts } from '../peer-facts.ts';
import { formatLsn, ZERO_LSN } from '../units.ts';
import { isVoter, type RaceFacts } from './facts.ts';
import { isAnotherTimeline, isForeign, isTwin, isUnheardOf, lacksWalOf, type OwnPosition } from './positions.ts';
import { eligible, leftHistory } from './successors.ts';

/**
 * beats: this node leaves the key. behind: the member has nothing that is not here, so its vote may
 * count. passed over: it is not waited for, and has no vote.
 */
export type Comparison = 'beats' | 'behind' | 'passed over';

/** One member that answered, beside this node. */
export interface PeerOfRace extends RaceFacts {
  readonly own: OwnPosition;
  readonly peer: PeerFacts;
}

export function compareWith(f: RaceFacts & { readonly own: OwnPosition }, peer: PeerFacts): Answer<Comparison> {
  return onlyAnswer(peerRows, { ...f, peer });
}

/** How long a member that is coming up with more WAL is waited for. A start takes a few seconds. */
const COMING_UP_MS = 10_000;

export const peerRows: readonly Row<PeerOfRace, Comparison>[] = [
  {
    id: 'race.peer-coming-up',
    situation: 'it is not up yet, has more WAL on its disk, and nobody has led for less than 10 s',
    when: comesUpAhead,
    verdict: 'beats',
    because: ({ peer }) =>
      `${peer.name} is coming up and has more, at ${formatLsn(peer.onDisk?.lsn ?? ZERO_LSN)} on timeline ${peer.onDisk?.timeline}`,
  },
  {
    id: 'race.peer-foreign',
    situation: 'it has the data of another cluster',
    when: ({ peer, view }) => isForeign(peer, view),
    verdict: 'passed over',
    because: ({ peer }) => `${peer.name} has the data of another cluster`,
  },
  {
    id: 'race.peer-primary',
    situation: 'it runs as a primary',
    when: ({ peer }) => !peer.inRecovery && peer.state === 'running',
    verdict: 'beats',
    because: ({ peer }) => `Primary (${peer.name}) is still alive`,
  },
  {
    id: 'race.peer-no-position',
    situation: 'it does not tell its position, or has WAL of its own that was written by hand',
    when: ({ peer }) => peer.lsn === null || peer.strayed === true,
    verdict: 'passed over',
    because: ({ peer }) => `the position of ${peer.name} proves nothing`,
  },
  {
    id: 'race.peer-twin',
    situation: '/sync counts, and it is on another timeline of the same number, which the last leader did not write on',
    when: (f) => isOnTwinNumber(f) && isTwin(f.view, f.peer),
    verdict: 'behind',
    because: ({ peer }) => `${peer.name} is on another timeline of the same number`,
  },
  {
    id: 'race.peer-unclear-twin',
    situation: '/sync counts, and it is on another timeline of the same number; which of the two the last leader wrote on is not known',
    when: isOnTwinNumber,
    verdict: 'passed over',
    because: ({ peer }) => `${peer.name} is on another timeline of the same number`,
  },
  {
    id: 'race.peer-elsewhere',
    situation: 'it is on an earlier timeline, with WAL there that this node does not have',
    when: (f) => isOnEarlierTimeline(f) && lacksWalOfPeer(f),
    verdict: 'passed over',
    because: ({ peer }) => `${peer.name} is on an earlier timeline, with WAL that is not here`,
  },
  {
    id: 'race.peer-earlier-timeline',
    situation: 'it is on an earlier timeline',
    when: isOnEarlierTimeline,
    verdict: 'behind',
    because: ({ peer }) => `${peer.name} is on an earlier timeline`,
  },
  {
    id: 'race.peer-former-leader',
    situation: 'it is ahead on this timeline, and is the leader that /sync names: what it alone has was never acknowledged',
    when: (f) => isAhead(f) && !isOnLaterTimeline(f) && ledBySync(f),
    verdict: 'passed over',
    because: ({ peer }) => `${peer.name} led last, and what it alone has was not acknowledged`,
  },
  {
    id: 'race.peer-will-not-lead',
    situation:
      'it is ahead, and says that it may not lead, or that it keeps out of the race for now where /sync counts: waiting could take long',
    when: (f) => isAhead(f) && willNotLead(f),
    verdict: 'passed over',
    because: ({ peer }) => `${peer.name} is ahead and may not lead`,
  },
  {
    id: 'race.peer-outsider',
    situation: 'it is ahead on a timeline that /history does not know, and has no vote: the voters have what was acknowledged',
    when: (f) => isAhead(f) && isOutsider(f) && isUnheardOf(f.view, f.peer.timeline),
    verdict: 'passed over',
    because: ({ peer }) => `${peer.name} is ahead and has no vote`,
  },
  {
    id: 'race.peer-ahead',
    situation: 'it is ahead: on a later timeline, or at a later position',
    when: isAhead,
    verdict: 'beats',
    because: (f) => {
      const where = isOnLaterTimeline(f) ? `timeline ${f.peer.timeline}` : formatLsn(f.peer.lsn ?? ZERO_LSN);
      return `Wal position of ${f.peer.name} is ahead of my wal position [${f.own.lsn}]: it is at ${where}, this node at ${formatLsn(f.own.lsn)}`;
    },
  },
  {
    id: 'race.peer-priority',
    situation: 'it is at the same position, may lead now, did not lead last, and has a higher failover_priority',
    when: (f) => f.peer.lsn === f.own.lsn && hasPriority(f) && f.peer.keepsOut !== true && !willNotLead(f) && !ledLast(f) && !isOutsider(f),
    verdict: 'beats',
    because: ({ c, peer }) =>
      `${peer.name} has equally tolerable WAL position and priority ${failoverPriority(peer.tags)}, while this node has priority ${failoverPriority(c.o.settings.local.tags)}`,
  },
  {
    id: 'race.peer-behind',
    situation: 'otherwise: all that it has is here',
    when: () => true,
    verdict: 'behind',
    because: ({ peer }) => `all that ${peer.name} has is here`,
  },
];

/**
 * Where the WAL of a member that is not up yet ends, when that is beyond this node's. The last
 * leader's counts on a later timeline only, because its standbys were not sent what it alone has on
 * this one.
 */
function comesUpAhead(f: PeerOfRace): boolean {
  const { c, own, peer, view, voters } = f;
  const { onDisk } = peer;
  const since = c.m.leaderlessSinceMs;
  if (onDisk === undefined || own.timeline === null || since === null || c.o.nowMs - since >= COMING_UP_MS) return false;
  if (isForeign(peer, view) || !mayLead(peer.tags) || peer.watchdogFailed || peer.state === 'start failed') return false;
  if (pastSwitchPoint(onDisk.timeline, onDisk.lsn, view.history) || isOutsider(f)) return false;
  if (onDisk.timeline !== own.timeline) return onDisk.timeline > own.timeline;
  const led = [voters?.[0], c.m.lastLeader].some((name) => name != null && sameName(name, peer.name));
  return !led && onDisk.lsn > own.lsn;
}

/**
 * Of what the leader in /sync wrote, a member on another timeline of that number confirmed nothing.
 */
function isOnTwinNumber({ c, voters, own, peer }: PeerOfRace): boolean {
  return voters !== null && isAnotherTimeline(c.o.pg.timelineFingerprint, peer) && peer.timeline === own.timeline;
}

function isOnEarlierTimeline({ own, peer }: PeerOfRace): boolean {
  return peer.timeline !== null && own.timeline !== null && peer.timeline < own.timeline;
}

function isOnLaterTimeline({ own, peer }: PeerOfRace): boolean {
  return peer.timeline !== null && own.timeline !== null && peer.timeline > own.timeline;
}

function lacksWalOfPeer({ c, own, peer }: PeerOfRace): boolean {
  return peer.timeline !== null && peer.lsn !== null && lacksWalOf(c, own, peer.timeline, peer.lsn);
}

function isAhead(f: PeerOfRace): boolean {
  return isOnLaterTimeline(f) || (f.peer.lsn !== null && f.peer.lsn > f.own.lsn);
}

/** Votes count, and this member has none. */
const isOutsider = (f: PeerOfRace): boolean => f.byVotes && !isVoter(f, f.peer.name);

const ledBySync = ({ voters, peer }: PeerOfRace): boolean => voters?.[0] !== undefined && sameName(voters[0], peer.name);

function ledLast({ c, voters, peer }: PeerOfRace): boolean {
  const former = voters?.[0] ?? c.m.lastLeader;
  return former !== null && sameName(former, peer.name);
}

const hasPriority = ({ c, peer }: PeerOfRace): boolean => failoverPriority(peer.tags) > failoverPriority(c.o.settings.local.tags);

/**
 * It says that it is up, and that it may not lead, however far ahead it is (entry.ts asks the same
 * of this node). Nothing acknowledged is left to it. Where /sync counts, the others have what was
 * acknowledged, by their votes or because they are in the set. Elsewhere nothing was promised; but
 * one that only keeps out for now is waited for there, because it has the most.
 */
function willNotLead(f: PeerOfRace): boolean {
  const { peer, view, voters } = f;
  if (peer.keepsOut === true && voters !== null) return true;
  if (!eligible(peer) || leftHistory(peer, view) || isTwin(view, peer)) return true;
  return peer.restored === true && isVoter(f, peer.name);
}
