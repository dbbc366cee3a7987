/** Nobody is ahead of this node. Is that enough to lose no acknowledged commit? */
import { plural } from '../../support/plural.ts';
import { sameName } from '../cluster.ts';
import type { Row } from '../decision-table.ts';
import type { PeerFacts } from '../peer-facts.ts';
import { formatLsn } from '../units.ts';
import { isVoter, type RaceFacts, type RaceVerdict } from './facts.ts';
import type { Comparison } from './peers.ts';
import type { OwnPosition } from './positions.ts';

export interface VoteFacts extends RaceFacts {
  readonly own: OwnPosition;
  /** Voters that have nothing which is not here, this node included. */
  readonly votes: number;
  readonly needed: number;
  /** Voters whose position may still move. They do not count yet. */
  readonly moving: readonly string[];
}

export function countVotes(f: RaceFacts & { readonly own: OwnPosition }, compared: ReadonlyMap<PeerFacts, Comparison>): VoteFacts {
  const behind = [...compared].flatMap(([peer, comparison]) => (comparison === 'behind' && hasVote(f, peer) ? [peer] : []));
  const moving = behind.filter((peer) => f.byVotes && mayStillConfirm(peer));
  const ownVote = isVoter(f, f.c.me) ? 1 : 0;
  return {
    ...f,
    votes: ownVote + behind.length - moving.length,
    needed: (f.view.sync?.quorum ?? 0) + 1,
    moving: moving.map(({ name }) => name),
  };
}

/** A base backup has replaced what a restored member confirmed. */
const hasVote = (f: RaceFacts, peer: PeerFacts): boolean => isVoter(f, peer.name) && peer.restored !== true;

/**
 * After this answer the member could confirm one more commit of the former primary: one that wakes
 * up, or is within reach again, finds its standbys by itself. Or it has confirmed commits before a
 * restart that its replay has not reached. Those commits would be missing here.
 */
export const mayStillConfirm = (peer: PeerFacts): boolean => peer.receiving === true || peer.attached === true || peer.replaying === true;

const ledLast = ({ c, view }: VoteFacts): boolean => view.sync?.leader != null && sameName(view.sync.leader, c.me);

const healthiest = ({ own }: VoteFacts): string => `this node is the healthiest, at ${formatLsn(own.lsn)}`;

export const voteRows: readonly Row<VoteFacts, RaceVerdict>[] = [
  {
    id: 'race.healthiest',
    situation: 'no votes are counted',
    when: ({ byVotes }) => !byVotes,
    verdict: 'take',
    because: healthiest,
  },
  {
    id: 'race.enough-votes',
    situation: 'so many voters have nothing more that each acknowledged commit is on one of them',
    when: ({ votes, needed }) => votes >= needed,
    verdict: 'take',
    because: (f) => `${healthiest(f)}, with ${plural(f.votes, 'vote')}, ${f.needed} needed`,
  },
  {
    id: 'race.led-last',
    situation: '/sync names this node as leader, and nobody beats it',
    when: ledLast,
    verdict: 'take',
    because: (f) => `${healthiest(f)}: it led last, and nobody is ahead of it`,
  },
  {
    id: 'race.votes-moving',
    situation: 'too few votes, but some voters still receive or replay WAL',
    when: ({ moving }) => moving.length > 0,
    verdict: 'leave for now',
    because: ({ moving }) =>
      `${moving.join(', ')} may still be sent WAL by the former primary, or replays its own, and counts only once that has ended`,
  },
  {
    id: 'race.too-few-votes',
    situation: 'otherwise: too few voters answer',
    when: () => true,
    verdict: 'leave',
    because: ({ votes, needed }) =>
      `${votes} of the ${plural(needed, 'vote')} needed: too few synchronous standbys answer to be sure that no acknowledged commit is lost`,
  },
];
