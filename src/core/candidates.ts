/**
 * Who may be promoted when nobody leads, and why each other is not. Every agent decides for itself
 * only: "may I take the key?". The create-if-absent in etcd settles what is left of the race; these
 * rules make sure that whoever wins it loses no acknowledged commit that the policy in force
 * promises to keep, and as little as possible otherwise.
 */
import { plural } from '../support/plural.ts';
import { type ClusterView, clusterTimeline, type FailoverKey, type Member, mayLead, memberOf, sameName } from './cluster.ts';
import { comesUpAhead, compareWith, eligible, isForeign, isTwin, lagBehindLeader, ownPosition } from './comparison.ts';
import { type Context, isLeftBehind } from './context.ts';
import { pastSwitchPoint } from './divergence.ts';
import { promotionsFailing } from './failed-promotions.ts';
import type { PeerFacts } from './peer-facts.ts';
import type { DynamicSettings } from './settings.ts';
import { strays } from './strays.ts';
import { formatLsn, lagBytes } from './units.ts';
import { countsVotes, includes, syncVoters } from './voters.ts';

export interface Verdict {
  readonly win: boolean;
  readonly because: string;
  /** The answer will be another within milliseconds. */
  readonly soon?: boolean;
}

const no = (because: string): Verdict => ({ win: false, because });
const yes = (because: string): Verdict => ({ win: true, because });

/** May this running standby take the free leader key? */
export function raceVerdict(c: Context): Verdict {
  const { view, o, me } = c;
  if (view === null || o.peers === null) return no('the other members have not been asked yet');
  const { dynamic, local } = o.settings;
  if (c.m.abstainUntilMs !== null && o.nowMs < c.m.abstainUntilMs)
    return no('this node gave the leader key up a moment ago and keeps out of the race');
  const failing = promotionsFailing(c);
  const able = failing === null ? undefined : [...o.peers.values()].find((peer) => peer.inRecovery && eligible(peer));
  if (able !== undefined) return no(`${failing}: the leader key is left to ${able.name}`);
  if (view.failover !== null) {
    const wished = wishVerdict(c, view);
    if (wished !== null) return wished;
  }
  if (!mayLead(local.tags)) return no('this node is tagged nofailover');
  if (o.watchdog.required && !o.watchdog.healthy) return no('the watchdog is required and not usable here');
  if (o.pg.promotionTrouble !== undefined) return no(cannotBePromoted(o.pg.promotionTrouble));
  const voters = syncVoters(view, dynamic.synchronousMode);
  if (dynamic.synchronousMode === 'on' && voters !== null && !includes(voters, me)) {
    return no(`this node is not a synchronous standby; ${voters.join(', ')} may lead`);
  }
  if (hasForgotten(c, view)) return no(FORGOTTEN);
  return healthiest(c, view, { except: [], checkLag: true });
}

/**
 * /sync counts on what this node has confirmed, and its data were replaced by a base backup since:
 * neither its own vote nor its having led last means anything.
 */
function hasForgotten(c: Context, view: ClusterView): boolean {
  const voters = syncVoters(view, c.o.settings.dynamic.synchronousMode);
  return c.o.pg.restored === true && voters !== null && includes(voters, c.me);
}

const FORGOTTEN =
  'a base backup was restored on this node, which may lack what it had confirmed; only an operator’s failover to it by name would make it lead';

const cannotBePromoted = (trouble: string) => `this node cannot be promoted: ${trouble}`;

/** The operator's wish while nobody leads; null: the wish does not settle it. */
function wishVerdict(c: Context, view: ClusterView): Verdict | null {
  const wish = view.failover;
  if (wish === null || (wish.scheduledAtMs !== null && wish.scheduledAtMs > c.o.wallMs)) return null;
  const { synchronousMode } = c.o.settings.dynamic;
  const voters = syncVoters(view, synchronousMode);
  const outsideSync = synchronousMode === 'on' && voters !== null && !includes(voters, c.me);
  if (wish.candidate === c.me) {
    if (!mayLead(c.o.settings.local.tags)) return null;
    // A failover (no leader named) is the operator's explicit override; a switchover keeps to the
    // synchronous standbys and to the cluster's history.
    if (wish.leader !== null && hasDiverged(c, view)) return no(DIVERGED);
    if (wish.leader !== null && mayProveDiverged(c)) return NOT_AT_ITS_END;
    if (wish.leader !== null && hasForgotten(c, view)) return no(FORGOTTEN);
    if (wish.leader !== null && c.o.pg.promotionTrouble !== undefined) return no(cannotBePromoted(c.o.pg.promotionTrouble));
    // A leader hands over to nobody who is behind; one that died, or never came to lead, has not
    // looked.
    const tooFar = wish.leader === null ? null : tooFarBehind(c, view);
    if (tooFar !== null) return tooFar;
    if (wish.leader !== null && outsideSync) return no('this node is the candidate, but not a synchronous standby');
    if (wish.leader !== null && countsVotes(view, synchronousMode) && voters !== null)
      return healthiest(c, view, { except: [], checkLag: false });
    return yes('this node is the candidate the operator named');
  }
  if (wish.candidate !== null && standsBack(c)) {
    const peer = c.o.peers?.get(wish.candidate);
    if (peer && eligible(peer) && c.o.peers && memberOf(view, wish.candidate))
      return no(`the operator named ${wish.candidate}, which is healthy`);
  }
  if (wish.leader === c.me && standsBack(c)) {
    const others = possibleSuccessors(c, view, { exceptCandidate: wish.candidate });
    return others.length > 0 ? no('this node is being switched away from, and another can take over') : null;
  }
  if (outsideSync) return no('this node is not a synchronous standby');
  return null;
}

/**
 * For one ttl a node leaves the key to whom the operator named, or to others when it was told to
 * go. Whether they can take it (votes, synchronous standbys, etcd within reach) only they know;
 * after that somebody has to lead.
 */
function standsBack(c: Context): boolean {
  const since = c.m.leaderlessSinceMs;
  return since === null || c.o.nowMs - since < c.o.settings.dynamic.ttlSeconds * 1000;
}

/**
 * The wish as it stands when this node leads against it, because nobody it was meant for could;
 * null: there is none. Kept, it would end the lead again.
 */
export function requestInVain(c: Context): FailoverKey | null {
  const wish = c.view?.failover ?? null;
  if (wish === null || (wish.scheduledAtMs !== null && wish.scheduledAtMs > c.o.wallMs)) return null;
  return wish.leader === c.me || (wish.candidate !== null && wish.candidate !== c.me) ? wish : null;
}

const DIVERGED = 'the data of this node diverged from the cluster’s history; only an operator’s failover to it by name would make it lead';

function hasDiverged(c: Context, view: ClusterView): boolean {
  if (c.m.strayed) return true;
  const own = ownPosition(c);
  if (own === null) return false;
  const { beginning } = c.o.pg;
  return pastSwitchPoint(own.timeline, own.lsn, view.history) || isTwin(view, { timeline: own.timeline, ...(beginning && { beginning }) });
}

/**
 * Its position is not final: it would replay the rest of what is on its disk before it is promoted,
 * or be sent more by who led there.
 */
function mayProveDiverged(c: Context): boolean {
  const { sql } = c.o.pg;
  return isLeftBehind(c) && sql !== null && (sql.replaying === true || sql.receiver !== null || sql.primaryConninfo !== '');
}

const NOT_AT_ITS_END: Verdict = {
  ...no(
    'this node still receives or replays WAL of a timeline that the cluster has left, and may be past that point before it is promoted',
  ),
  soon: true,
};

function tooFarBehind(c: Context, view: ClusterView): Verdict | null {
  const own = ownPosition(c);
  const lag = own === null ? 0 : lagBehindLeader(view, own);
  const tooFar = lag > c.o.settings.dynamic.maximumLagOnFailoverBytes;
  return tooFar ? no(`this node is ${lag} bytes behind the last leader, more than maximum_lag_on_failover`) : null;
}

interface RaceOptions {
  readonly except: readonly string[];
  readonly checkLag: boolean;
}

/**
 * Compares this node with everybody reachable: timeline first, then position, then priority; in
 * quorum mode it also counts votes.
 */
function healthiest(c: Context, view: ClusterView, options: RaceOptions): Verdict {
  const { dynamic } = c.o.settings;
  const own = ownPosition(c);
  if (own === null) return no('the own WAL position is not known');
  if (hasDiverged(c, view)) return no(DIVERGED);
  const tooFar = options.checkLag ? tooFarBehind(c, view) : null;
  if (tooFar !== null) return tooFar;
  const expected = clusterTimeline(view);
  const mode = dynamic.synchronousMode;
  const voters = syncVoters(view, mode);
  // Promoted here, this node's timeline would get the number that the last leader's has: two
  // histories that nothing tells apart, so that the wrong one could win the race after (M13). Where
  // no acknowledged commit may be lost, that leader, or an operator's failover by name, is waited
  // for. Where /sync names this node alone, it was about to lead already, and nobody else may.
  const waits = voters?.some((name) => !sameName(name, c.me)) === true;
  const strict = dynamic.checkTimeline || waits;
  const byVotes = countsVotes(view, mode);
  if (strict && expected !== null && (own.timeline === null || own.timeline < expected)) {
    return no(
      `this node is on timeline ${own.timeline ?? 'unknown'}, the cluster is on ${expected}, which ${view.history.at(-1)?.newLeader ?? 'another'} began`,
    );
  }
  if (mayProveDiverged(c)) return NOT_AT_ITS_END;
  const inScope = (member: Member) => mode !== 'on' || voters === null || includes(voters, member.name);
  let votes = voters !== null && includes(voters, c.me) ? 0 : -1;
  let ahead = false;
  const moving: string[] = [];
  for (const member of view.members) {
    if (member.name === c.me || options.except.includes(member.name) || !inScope(member)) continue;
    const peer = c.o.peers?.get(member.name);
    if (peer === undefined) continue;
    const coming = comesUpAhead(c, own, peer, voters);
    if (coming !== null) return no(coming);
    const outcome = compareWith(c, own, peer, voters);
    if (outcome.kind === 'beaten') return no(outcome.because);
    if (outcome.kind === 'ahead-leader') ahead = true;
    if (outcome.kind !== 'behind' || voters === null || !includes(voters, member.name) || peer.restored === true) continue;
    // It could confirm one more commit of the former primary after this answer (one that wakes up,
    // or is within reach again, finds its standbys by itself), or have confirmed some that its
    // replay has not come to since it was started: they would be missing here.
    if (byVotes && (peer.receiving || peer.attached || peer.replaying)) moving.push(member.name);
    else votes += 1;
  }
  if (!byVotes || voters === null) return yes(`this node is the healthiest, at ${formatLsn(own.lsn)}`);
  const quorum = view.sync?.quorum ?? 0;
  const wasLeader = view.sync?.leader != null && sameName(view.sync.leader, c.me);
  const healthy = `this node is the healthiest, at ${formatLsn(own.lsn)}`;
  if (votes >= quorum) return yes(`${healthy}, with ${plural(votes + 1, 'vote')}, ${quorum + 1} needed`);
  if (wasLeader && !ahead) return yes(`${healthy}: it led last, and nobody is ahead of it`);
  if (moving.length > 0) {
    return {
      ...no(`${moving.join(', ')} may still be sent WAL by the former primary, or replays its own, and counts only once that has ended`),
      soon: true,
    };
  }
  return no(
    `${votes + 1} of the ${plural(quorum + 1, 'vote')} needed: too few synchronous standbys answer to be sure that no acknowledged commit is lost`,
  );
}

/**
 * Why a leader cannot hand over to this member, to go behind its name in a sentence; null: nothing
 * is in the way.
 */
export function unfit(peer: PeerFacts | undefined, view: ClusterView, dynamic: DynamicSettings): string | null {
  if (peer === undefined) return 'does not answer';
  if (isForeign(peer, view)) return 'has the data of another cluster';
  if (!mayLead(peer.tags)) return peer.tags.nofailover === true ? 'is tagged nofailover' : 'has failover_priority 0';
  if (peer.watchdogFailed) return 'has no working watchdog';
  if (peer.promotionTrouble !== undefined) return `cannot be promoted: ${peer.promotionTrouble}`;
  if (!eligible(peer)) return `is ${peer.state}`;
  if (!peer.inRecovery) return 'is not a standby';
  if (peer.lsn === null) return 'does not tell its WAL position';
  if (peer.restored === true) return 'was restored from a base backup and has not caught up yet';
  if (peer.strayed === true) return 'has WAL of its own that was written by hand';
  if (pastSwitchPoint(peer.timeline, peer.lsn, view.history)) return 'has data that diverged from the cluster’s history';
  const lag = view.status === null || view.status.optime === null ? 0 : lagBytes(view.status.optime, peer.lsn);
  if (lag > dynamic.maximumLagOnFailoverBytes) return `is ${lag} bytes behind, more than maximum_lag_on_failover allows`;
  const expected = clusterTimeline(view);
  if (dynamic.checkTimeline && expected !== null && (peer.timeline === null || peer.timeline < expected))
    return `is on timeline ${peer.timeline ?? 'unknown'}, the cluster on ${expected}`;
  return null;
}

/** Whom a leader could hand over to. */
export function possibleSuccessors(
  c: Context,
  view: ClusterView,
  options: { readonly exceptCandidate?: string | null; readonly only?: string | null; readonly manual?: boolean },
): readonly string[] {
  const { dynamic } = c.o.settings;
  const voters = syncVoters(view, dynamic.synchronousMode);
  const good = view.members.filter((member) => {
    if (member.name === c.me || member.name === options.exceptCandidate || (options.only != null && member.name !== options.only))
      return false;
    if (dynamic.synchronousMode === 'on' && voters !== null && !options.manual && !includes(voters, member.name)) return false;
    return unfit(c.o.peers?.get(member.name), view, dynamic) === null && !strays(c, member.name);
  });
  if (countsVotes(view, dynamic.synchronousMode) && voters !== null && options.only == null) {
    const needed = (view.sync?.quorum ?? 0) + 1;
    if (good.filter((member) => includes(voters, member.name)).length < needed) return [];
  }
  return good.map((member) => member.name);
}
