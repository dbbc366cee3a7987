/**
 * A voter that misses the leader: does it let go of it, promise, or take its place?
 *
 * First enough voters must miss the leader, each by its own evidence. Then each lets go: it takes
 * its walreceiver away, replays what it has, and promises durably (fence-mark.ts). With enough
 * promises the old primary cannot acknowledge another commit, and one of those that promised has
 * every commit that it did acknowledge. The most advanced of them takes the leader key.
 */
import { sameName } from '../cluster.ts';
import type { Context } from '../context.ts';
import { type Answer, type DrawnTable, onlyAnswer, type Row } from '../decision-table.ts';
import { standsBy } from '../failsafe.ts';
import type { PeerFacts } from '../peer-facts.ts';
import { backoffText, backsOff } from '../race/backoff.ts';
import { raceVerdict } from '../race/race.ts';
import { mayStillConfirm } from '../race/votes.ts';
import { includes } from '../voters.ts';
import { fenceText } from './fence-mark.ts';
import type { QuorumFence } from './in-force.ts';
import { type Watched, watched } from './suspicion.ts';
import { isBound } from './vouching.ts';

export type TakeOver = 'wait' | 'wait a moment' | 'let go' | 'promise' | 'take';

export interface TakeOverFacts extends Watched {
  readonly c: Context;
  /** Other members than the leader that answered. */
  readonly peers: readonly PeerFacts[];
  /** Voters that miss the leader or have promised, this one included. */
  readonly missing: readonly string[];
  /** Members that answered and do not miss the leader. */
  readonly hearing: readonly string[];
  /** Voters whose promise stands and whose position is final, this one included if so. */
  readonly promised: readonly string[];
  readonly hasPromised: boolean;
  readonly race: Answer<'take' | 'leave' | 'leave for now'>;
}

const promisedFor = (fence: QuorumFence, peer: PeerFacts) => peer.fence === fenceText(fence);
const misses = (fence: QuorumFence, peer: PeerFacts) => peer.missesTerm === fence.term || promisedFor(fence, peer);

/** Null: this node is no voter, or has no reason to leave its leader. */
export function takeOverVerdict(c: Context): Answer<TakeOver> | null {
  const seen = watched(c);
  if (seen === null || !seen.isVoter || (seen.suspicion.verdict === 'heard' && !c.fenced)) return null;
  return onlyAnswer(takeOverRows, factsOf(c, seen));
}

function factsOf(c: Context, seen: Watched): TakeOverFacts {
  const { fence } = seen;
  const peers = [...(c.o.peers?.values() ?? [])].filter(({ name }) => name !== fence.leader);
  const voters = peers.filter(({ name }) => includes(fence.voters, name));
  const own = seen.suspicion.verdict === 'missed' || c.fenced ? [c.me] : [];
  const promised = voters.filter((peer) => promisedFor(fence, peer) && !mayStillConfirm(peer)).map(({ name }) => name);
  return {
    ...seen,
    c,
    peers,
    missing: distinct([...own, ...voters.filter((peer) => misses(fence, peer)).map(({ name }) => name)]).sort(),
    hearing: peers.filter((peer) => !misses(fence, peer)).map(({ name }) => name),
    promised: distinct(c.fenced ? [c.me, ...promised] : promised).sort(),
    hasPromised: c.fenced,
    race: raceVerdict(amongPromised(c, promised)),
  };
}

/** PostgreSQL takes names that differ in case alone for one: they confirm for one another. */
const distinct = (names: readonly string[]) => names.filter((name, at) => names.findIndex((other) => sameName(other, name)) === at);

/** The positions of the others may still move, and whoever has not promised has no part in it. */
function amongPromised(c: Context, promised: readonly string[]): Context {
  const peers = c.o.peers === null ? null : new Map([...c.o.peers].filter(([name]) => promised.includes(name)));
  return { ...c, o: { ...c.o, peers } };
}

const sql = ({ c }: TakeOverFacts) => c.o.pg.sql;

export const takeOverRows: readonly Row<TakeOverFacts, TakeOver>[] = [
  {
    id: 'take-over.heard-again',
    situation: 'this node has promised, and hears the leader again: a leader that lives writes /sync anew, which lets go of the promise',
    when: ({ suspicion }) => suspicion.verdict === 'heard',
    verdict: 'wait',
    because: ({ fence }) => `${fence.leader} is heard again; streaming from it once it has written /sync anew`,
  },
  {
    id: 'take-over.vouched',
    situation:
      'this node has vouched for the leader or agreed to failsafe mode, or its agent before may have vouched, and that time is not over',
    when: ({ c }) => isBound(c) || standsBy(c) !== null,
    verdict: 'wait a moment',
    because: ({ fence }) => `this node may have vouched for ${fence.leader} a moment ago`,
  },
  {
    id: 'take-over.not-asked',
    situation: 'the other members have not been asked in this round',
    when: ({ c }) => c.o.peers === null,
    verdict: 'wait a moment',
    because: () => 'the other members have not been asked yet',
  },
  {
    id: 'take-over.too-few-miss-it',
    situation: 'so few voters miss the leader that it could still have commits confirmed',
    when: ({ missing, fence, hasPromised }) => !hasPromised && missing.length < fence.needed,
    verdict: 'wait',
    because: ({ missing, fence }) => `only ${missing.join(', ')} of ${fence.voters.join(', ')} misses it; ${fence.needed} would have to`,
  },
  {
    id: 'take-over.others-hear-it',
    situation: 'one promise would be enough, and another member hears the leader: it lives',
    when: ({ hearing, fence, hasPromised }) => !hasPromised && fence.needed === 1 && hearing.length > 0,
    verdict: 'wait',
    because: ({ hearing, fence }) => `${hearing.join(', ')} still hears ${fence.leader}`,
  },
  {
    id: 'take-over.backoff',
    situation:
      'primary_race_backoff is set, its time is not over, and the leader has been missed for less than one loop_wait, or WAL still comes; it does not say that its PostgreSQL is down',
    when: ({ c, hasPromised }) => !hasPromised && backsOff(c, c.m.missesLeaderSinceMs),
    verdict: 'wait',
    because: ({ c }) => backoffText(c, c.m.missesLeaderSinceMs),
  },
  {
    id: 'take-over.let-go',
    situation: 'PostgreSQL is still told to stream from somewhere',
    when: (f) => (sql(f)?.primaryConninfo ?? '') !== '',
    verdict: 'let go',
    because: (f) => missed(f),
  },
  {
    id: 'take-over.not-final',
    situation: 'PostgreSQL still receives WAL, or replays what is on its own disk',
    when: (f) => sql(f)?.receiver !== null || sql(f)?.replaying === true,
    verdict: 'wait a moment',
    because: (f) => `${missed(f)}; what this node has received is not final yet`,
  },
  {
    id: 'take-over.promise',
    situation: 'this node has not promised yet',
    when: ({ hasPromised }) => !hasPromised,
    verdict: 'promise',
    because: (f) => `${missed(f)}; taking no more WAL from it`,
  },
  {
    id: 'take-over.too-few-promises',
    situation: 'too few voters have promised',
    when: ({ promised, fence }) => promised.length < fence.needed,
    verdict: 'wait a moment',
    because: ({ promised, fence }) =>
      `${promised.join(', ')} of ${fence.voters.join(', ')} take no more WAL; ${fence.needed} would have to`,
  },
  {
    id: 'take-over.leave',
    situation: 'by the tables of the race another should lead, or this node must not',
    when: ({ race }) => race.verdict !== 'take',
    verdict: 'wait a moment',
    because: ({ race }) => race.because,
  },
  {
    id: 'take-over.take',
    situation: 'otherwise',
    when: () => true,
    verdict: 'take',
    because: (f) => `${missed(f)}; ${f.promised.join(', ')} take no more WAL from it; ${f.race.because}`,
  },
];

const missed = ({ suspicion, missing }: TakeOverFacts) => `${suspicion.because} (missed by ${missing.join(', ')})`;

export const takeOverTable: DrawnTable = {
  title: 'A voter that misses the leader',
  situation: 'a standby of the synchronous set misses the leader, or has promised to take no more WAL from it',
  rows: takeOverRows,
};
