/**
 * What `regentctl advise` reckons with: the settings in force, and the members as etcd has them. No
 * agent is asked.
 */
import { type ClusterView, type Member, mayLead, memberOf, sameName } from '../cluster.ts';
import { failsafeMap, membersToAsk } from '../failsafe.ts';
import { beats, fenceInForce, type LeaseFence, type QuorumFence } from '../quorum/in-force.ts';
import { type DynamicSettings, leaseMargins, observeTimeoutMs, roundIntervalMs } from '../settings.ts';
import { includes } from '../voters.ts';

export interface AdviceFacts {
  readonly view: ClusterView;
  readonly dynamic: DynamicSettings;
  readonly fence: QuorumFence | LeaseFence;
  readonly leader: Member | null;
  /** Members beside the leader, in etcd's order. */
  readonly standbys: readonly Member[];
  /** Those that could take over from the leader now, as far as etcd shows. */
  readonly heirs: readonly string[];
  /** The standbys that /sync names; empty also while it is another's. */
  readonly voters: readonly string[];
  /** So many of them together have every acknowledged commit. */
  readonly needed: number;
  readonly isSynchronous: boolean;
  readonly isPaused: boolean;
  readonly byPromises: boolean;
  /**
   * The leader asks these in failsafe mode; null: it is off, or the map does not name the leader.
   */
  readonly askedInFailsafe: readonly string[] | null;
  readonly ttlSeconds: number;
  /** Between two renewals of the lease. */
  readonly renewalSeconds: number;
  /** How long a round waits for PostgreSQL's answer. */
  readonly askingSeconds: number;
  /** From a renewal until the leader steps down, and until its guard stops PostgreSQL. */
  readonly stepDownSeconds: number;
  readonly guardSeconds: number;
  readonly suspectAfterSeconds: number;
}

export function adviceFacts(view: ClusterView, dynamic: DynamicSettings): AdviceFacts {
  const leader = view.leader && memberOf(view, view.leader.name);
  const standbys = view.members.filter(({ name, connUrl }) => name !== view.leader?.name && connUrl !== null);
  const isSynchronous = dynamic.synchronousMode !== 'off';
  const ofLeader = view.leader !== null && view.sync?.leader != null && sameName(view.sync.leader, view.leader.name);
  const voters = isSynchronous && ofLeader ? (view.sync?.standbys ?? []) : [];
  const needed = (view.sync?.quorum ?? 0) + 1;
  const fence = fenceInForce(view, dynamic);
  const { stepDownMs, guardMs } = leaseMargins(dynamic.ttlSeconds);
  return {
    view,
    dynamic,
    fence,
    leader,
    standbys,
    heirs: heirsAmong({ standbys, voters, needed, dynamic }),
    voters,
    needed,
    isSynchronous,
    isPaused: dynamic.pause,
    byPromises: fence.kind === 'quorum',
    askedInFailsafe: askedInFailsafe(view, dynamic),
    ttlSeconds: dynamic.ttlSeconds,
    renewalSeconds: roundIntervalMs(dynamic, true) / 1000,
    askingSeconds: observeTimeoutMs(dynamic) / 1000,
    stepDownSeconds: stepDownMs / 1000,
    guardSeconds: guardMs / 1000,
    suspectAfterSeconds: dynamic.suspectAfterMs / 1000,
  };
}

function askedInFailsafe(view: ClusterView, { failsafeMode }: DynamicSettings): readonly string[] | null {
  const map = failsafeMode && view.leader !== null ? failsafeMap(view) : null;
  const asked = map === null ? null : membersToAsk(view.leader?.name ?? '', [map]);
  return asked && Object.keys(asked).sort();
}

const isRunning = ({ state }: Member): boolean => state === 'running';

/**
 * With a synchronous mode nobody may lead while no standby has to confirm anything, or too few of
 * those that have to could vote.
 */
function heirsAmong({
  standbys,
  voters,
  needed,
  dynamic,
}: Pick<AdviceFacts, 'standbys' | 'voters' | 'needed' | 'dynamic'>): readonly string[] {
  const mode = dynamic.synchronousMode;
  const able = standbys.filter((member) => mayLead(member.tags) && isRunning(member)).map(({ name }) => name);
  if (mode === 'off') return able;
  const voting = standbys.filter((member) => isRunning(member) && includes(voters, member.name));
  if (voting.length < needed) return [];
  return able.filter((name) => mode === 'quorum' || includes(voters, name));
}

/** Members that send and hear no beats: Patroni's, and those of an older Regent. */
export const withoutBeats = ({ leader, standbys }: AdviceFacts): readonly Member[] =>
  [...(leader === null ? [] : [leader]), ...standbys].filter((member) => !beats(member));
