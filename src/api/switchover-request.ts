/**
 * Reads POST /switchover and /failover, and checks whether the request can be carried out. The
 * texts and the order of the checks are Patroni's, because tools look for them.
 */

import { type ClusterView, type Member, mayLead, sameName } from '../core/cluster.ts';
import { clusterModes } from '../core/cluster-modes.ts';
import type { PeerFacts } from '../core/peer-facts.ts';
import { unfit } from '../core/race/successors.ts';
import type { JsonObject } from '../support/json.ts';
import { type Answer, plain, text } from './answer.ts';
import type { ApiContext } from './context.ts';
import { parseSchedule } from './schedule.ts';

export type Action = 'switchover' | 'failover';

export interface SwitchRequest {
  readonly action: Action;
  readonly leader: string | null;
  readonly candidate: string | null;
  readonly scheduledAt: string | null;
}

const ASK_TIMEOUT_MS = 2000;

/** An Answer is a refusal. */
export function readSwitchRequest(context: ApiContext, asked: Action, body: JsonObject, view: ClusterView): SwitchRequest | Answer {
  for (const key of ['leader', 'candidate', 'member']) {
    const value = body[key];
    if (value !== undefined && value !== null && typeof value !== 'string') return plain(400, `${key} should be the name of a member`);
  }
  const leader = nameIn(body, 'leader');
  const candidate = nameIn(body, 'candidate') ?? nameIn(body, 'member');
  const when = body['scheduled_at'] ?? null;
  const { paused } = clusterModes(view);
  if (asked === 'failover' && candidate === null) return text(400, 'Failover could be performed only to a specific candidate');
  if (asked === 'switchover' && leader === null) return text(400, 'Switchover could be performed only from a specific leader');
  let scheduledAt: string | null = null;
  if (when !== null && when !== '') {
    if (asked === 'failover') return text(400, "Failover can't be scheduled");
    if (paused) return text(400, "Can't schedule switchover in the paused state");
    const schedule = parseSchedule(when, 'switchover', context.clock.wallMs());
    if (!schedule.ok) return text(schedule.status, schedule.message);
    scheduledAt = schedule.iso;
  }
  if (asked === 'switchover' && paused && candidate === null) {
    return text(400, 'Switchover is possible only to a specific candidate in a paused state');
  }
  if (leader !== null && leader === candidate) return text(400, 'Switchover target and source are the same');
  if (asked === 'failover' && leader !== null)
    context.log.warning('REST: a failover that names the leader is a switchover, so a switchover is carried out');
  return { action: leader === null ? 'failover' : 'switchover', leader, candidate, scheduledAt };
}

/** Patroni's sentence, and what is to be said beside it. */
interface Problem {
  readonly message: string;
  readonly reason: string | null;
}

/** Null: it can be carried out. */
export async function switchProblem(context: ApiContext, request: SwitchRequest, view: ClusterView): Promise<Problem | null> {
  const { action, leader, candidate } = request;
  if (leader !== null && view.leader?.name !== leader)
    return { message: 'leader name does not match', reason: `${view.leader?.name ?? 'nobody'} leads` };
  const possible = candidate === null ? anyCandidates(action, view) : namedCandidate(action, candidate, view);
  if ('message' in possible) return possible;
  const answers = await context.peers.ask(possible, { timeoutMs: ASK_TIMEOUT_MS });
  const { dynamic } = context.operator.settings();
  const reasons: string[] = [];
  for (const { name } of possible) {
    const answer = answers.get(name);
    // Without a leader, the operator's choice overrides WAL positions. With a leader, the leader
    // would make the same check and drop the request.
    const reason = view.leader === null ? refusal(answer) : (unfit(answer, view, dynamic)?.because ?? null);
    if (reason === null) return null;
    reasons.push(`${name} ${reason}`);
  }
  return { message: `${action} is not possible: no good candidates have been found`, reason: reasons.join('; ') };
}

function refusal(answer: PeerFacts | undefined): string | null {
  if (answer === undefined) return 'does not answer';
  if (!mayLead(answer.tags)) return 'is tagged nofailover';
  return answer.watchdogFailed ? 'has no working watchdog' : null;
}

function namedCandidate(action: Action, candidate: string, view: ClusterView): Member[] | Problem {
  const ordered = action === 'switchover' && clusterModes(view).synchronousMode === 'on';
  if (ordered && !isInSync(view, candidate)) {
    const named = view.sync?.standbys.join(', ') || 'nobody';
    const reason = `${named} ${named.includes(', ') ? 'are' : 'is'} synchronous`;
    return { message: 'candidate name does not match with sync_standby', reason };
  }
  const members = view.members.filter((member) => member.name === candidate);
  if (members.length > 0) return members;
  return { message: 'candidate does not exists', reason: `the members are ${view.members.map(({ name }) => name).join(', ')}` };
}

function anyCandidates(action: Action, view: ClusterView): Member[] | Problem {
  const none = (message: string): Problem => ({ message: `${action} is not possible: ${message}`, reason: null });
  if (clusterModes(view).synchronousMode !== 'off') {
    const members = view.members.filter((member) => isInSync(view, member.name));
    return members.length === 0 ? none('can not find sync_standby') : members;
  }
  const members = view.members.filter((member) => member.name !== view.leader?.name && member.apiUrl !== null);
  return members.length === 0 ? none('cluster does not have members except leader') : members;
}

function isInSync(view: ClusterView, name: string): boolean {
  return view.sync?.standbys.some((standby) => sameName(standby, name)) ?? false;
}

function nameIn(body: JsonObject, key: string): string | null {
  const value = body[key];
  return typeof value === 'string' && value !== '' ? value : null;
}
