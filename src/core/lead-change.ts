/**
 * Why the lead changes, in words for `history`. The member that takes the key knows best. What an
 * operator asked for is in etcd. The former leader tells what made it give up, in its member key
 * and to members that ask it. PostgreSQL's own history files have "no recovery target specified"
 * for all of that.
 */
import { type FailoverKey, memberOf } from './cluster.ts';
import type { Context } from './context.ts';
import { type Effect, promotes } from './effects.ts';
import { isRecorded } from './history-key.ts';
import type { Memory } from './model.ts';
import { isRefused } from './quorum/refusal.ts';
import { watched } from './quorum/suspicion.ts';
import { remoteSource } from './remote.ts';

/** A column of a table that people read. */
const LONGEST = 250;
/** This node asks etcd for the leader key. */
export const TAKES_KEY: ReadonlySet<Effect['kind']> = new Set(['acquire-leader', 'take-over', 'take-refused']);

/**
 * What a decision's effects leave to remember about a change of the lead. `because`: the decision's
 * sentence.
 */
export function leadAfter(c: Context, because: string, effects: readonly Effect[]): Pick<Memory, 'leadReason' | 'steppedDown'> {
  return { leadReason: reasonAfter(c, effects), steppedDown: steppedDownAfter(c, because, effects) };
}

/** What the facts of a round change. */
export function rememberLead(c: Context, before: Memory): Pick<Memory, 'followed' | 'leadReason'> {
  const { view } = c;
  if (c.followsRemote) return { followed: remoteSource(c.o.settings.dynamic)?.name ?? 'an archive', leadReason: null };
  if (view === null) return { followed: before.followed, leadReason: before.leadReason };
  const isOver =
    (c.isPrimary && c.lockMine && isRecorded(c)) || (c.otherLeader !== null && memberOf(view, c.otherLeader)?.role === 'primary');
  // An agent that was restarted meanwhile finds the key of the one before it.
  const known = before.followed ?? (memberOf(view, c.me)?.role === 'standby_leader' ? 'a server outside' : null);
  return { followed: isOver ? null : known, leadReason: c.lockMine && !isOver ? before.leadReason : null };
}

/** In a standby cluster no timeline begins with the lead. */
function reasonAfter(c: Context, effects: readonly Effect[]): string | null {
  const { leadReason: before, openedByHand, followed } = c.m;
  if (c.followsRemote) return null;
  if (effects.some(({ kind }) => TAKES_KEY.has(kind))) {
    if (c.isStandby) return leadReason(c);
    return openedByHand ? shortened(`somebody promoted ${c.me} by hand, and it took the leader key; ${failoverReason(c)}`) : before;
  }
  if (!effects.some(promotes) || before !== null) return before;
  return followed === null ? `${c.me} held the leader key already, and its PostgreSQL was a standby` : clusterPromotion(followed);
}

const clusterPromotion = (followed: string): string =>
  `the standby cluster was promoted: an operator removed standby_cluster (it followed ${followed})`;

function steppedDownAfter(c: Context, because: string, effects: readonly Effect[]): string | null {
  if (c.m.steppedDown !== null) return c.m.steppedDown;
  for (const effect of effects) {
    if (effect.kind === 'start-job' && effect.job.kind === 'handover' && (c.isPrimary || c.lockMine)) {
      return effect.job.action === 'shutdown' ? 'its agent was told to end' : because;
    }
    if (effect.kind === 'release-leader' && c.lockMine) return because;
    if (effect.kind === 'demote-now' && (c.lockMine || c.mayBeWritable)) return because;
  }
  return null;
}

/** As far as this node can tell, which is about to take the key. */
export function leadReason(c: Context): string {
  const request = c.view?.failover ?? null;
  const due = request !== null && (request.scheduledAtMs === null || request.scheduledAtMs <= c.o.wallMs);
  const why = due && request.leader !== c.me ? requestReason(c, request) : failoverReason(c);
  return shortened(c.m.followed === null ? why : `${clusterPromotion(c.m.followed)}; ${why}`);
}

function requestReason(c: Context, request: FailoverKey): string {
  const meant = request.candidate !== null && request.candidate !== c.me ? ` (meant for ${request.candidate})` : '';
  const what = request.leader === null ? `failover to ${c.me}` : `switchover from ${request.leader} to ${c.me}`;
  const asked = [request.requestedBy && `by ${request.requestedBy}`, request.requestedAt && `at ${request.requestedAt}`].filter(Boolean);
  const scheduled = request.scheduledAt === null ? '' : `, scheduled for ${request.scheduledAt}`;
  return `${what}${meant}${asked.length === 0 ? ', asked for by an operator' : `, asked for ${asked.join(' ')}`}${scheduled}`;
}

function failoverReason(c: Context): string {
  const missed = watched(c);
  if (missed !== null) return `failover: ${missed.suspicion.because}`;
  if (isRefused(c)) return `failover: nothing listened at the ports of ${c.otherLeader} any more`;
  const former = c.m.formerLeader;
  if (former === null) return 'nobody had led since the agent of this node was started';
  if (former === c.me) return `${c.me} leads again${c.m.steppedDown === null ? '' : `: it had given up the lead: ${c.m.steppedDown}`}`;
  const answer = c.o.peers?.get(former);
  const key = c.view === null ? null : memberOf(c.view, former);
  const told = answer?.steppedDown ?? toldByKey(key?.raw['stepped_down']);
  if (told !== null) return `failover: ${former} gave up the lead: ${told}`;
  // A member's keys are on one lease: those that are left tell whether it ran out.
  if (key !== null) return `failover: the leader key of ${former} was released or removed`;
  return `failover: the leader key of ${former} expired${answer === undefined ? ', and it does not answer' : ''}`;
}

const toldByKey = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);

const shortened = (text: string): string => (text.length <= LONGEST ? text : `${text.slice(0, LONGEST - 1)}…`);
