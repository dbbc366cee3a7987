/** What the tables of the race look at: the context with the questions of a race answered. */
import { type ClusterView, type FailoverKey, mayLead } from '../cluster.ts';
import { type Context, isLeftBehind } from '../context.ts';
import { pastSwitchPoint } from '../divergence.ts';
import type { PeerFacts } from '../peer-facts.ts';
import { wroteByHand } from '../strays.ts';
import { countsVotes, includes, syncVoters } from '../voters.ts';
import { dueRequest } from './operator-request.ts';
import { isTwin, lagBehindLeaderBytes, type OwnPosition, ownPosition } from './positions.ts';

/**
 * take: this node may create the leader key. leave for now: that will change within milliseconds.
 */
export type RaceVerdict = 'take' | 'leave' | 'leave for now';

export interface RaceFacts {
  readonly c: Context;
  readonly view: ClusterView;
  /** Answers of the other agents; one that did not answer is absent. */
  readonly peers: ReadonlyMap<string, PeerFacts>;
  /** null: PostgreSQL does not tell it. */
  readonly own: OwnPosition | null;
  /** The leader and the standbys that /sync names; null: it promises nothing. */
  readonly voters: readonly string[] | null;
  /** Nobody may lead without the votes of enough of them. */
  readonly byVotes: boolean;
  /** The operator's request for a switchover or failover that is due; null: there is none. */
  readonly request: FailoverKey | null;
  /** What this node is in that request, if it may lead. */
  readonly standsAs: 'member' | 'candidate of a switchover' | 'candidate of a failover';
}

/** null: etcd was not read in this round, or the other members were not asked. */
export function raceFacts(c: Context): RaceFacts | null {
  const { view, o } = c;
  if (view === null || o.peers === null) return null;
  const mode = o.settings.dynamic.synchronousMode;
  const voters = syncVoters(view, mode);
  const request = dueRequest(c);
  const named = request?.candidate === c.me && mayLead(o.settings.local.tags);
  return {
    c,
    view,
    peers: o.peers,
    own: ownPosition(c),
    voters,
    byVotes: voters !== null && countsVotes(view, mode),
    request,
    standsAs: !named ? 'member' : request.leader === null ? 'candidate of a failover' : 'candidate of a switchover',
  };
}

export const isVoter = ({ voters }: RaceFacts, name: string): boolean => voters !== null && includes(voters, name);

/** In mode on, only those that /sync names may lead. */
export function isOutsideSync(f: RaceFacts): boolean {
  return f.c.o.settings.dynamic.synchronousMode === 'on' && f.voters !== null && !isVoter(f, f.c.me);
}

/**
 * /sync counts on what this node has confirmed, and a base backup has replaced its data since. Its
 * own vote proves nothing, and neither does having led last.
 */
export const isRestoredVoter = (f: RaceFacts): boolean => f.c.o.pg.restored === true && isVoter(f, f.c.me);

/**
 * The data left the cluster's history. Only an operator's failover to this node may make it lead.
 */
export function hasDiverged({ c, view, own }: RaceFacts): boolean {
  if (wroteByHand(c.m)) return true;
  if (own === null) return false;
  const { timelineFingerprint } = c.o.pg;
  return (
    pastSwitchPoint(own.timeline, own.lsn, view.history) ||
    isTwin(view, { timeline: own.timeline, ...(timelineFingerprint && { timelineFingerprint }) })
  );
}

/**
 * The position is not final. This node still replays what is on its disk, or may be sent more by
 * the member that led there.
 */
export function mayProveDiverged({ c }: RaceFacts): boolean {
  const { sql } = c.o.pg;
  return isLeftBehind(c) && sql !== null && (sql.replaying === true || sql.receiver !== null || sql.primaryConninfo !== '');
}

export const ownLagBytes = ({ c, view, own }: RaceFacts): number => (own === null ? 0 : lagBehindLeaderBytes(c, view, own));

/**
 * What a leader has written and nobody has confirmed grows without bound, for example in a long
 * COPY. Where /sync names this node, or votes are counted, all that was acknowledged is here. So
 * the rest says nothing. The candidate of a switchover is asked for it where nothing else is
 * compared.
 */
const isProvenBySync = (f: RaceFacts): boolean => f.byVotes || (f.standsAs === 'member' && isVoter(f, f.c.me));

export const isTooFarBehind = (f: RaceFacts): boolean =>
  !isProvenBySync(f) && ownLagBytes(f) > f.c.o.settings.dynamic.maximumLagOnFailoverBytes;
