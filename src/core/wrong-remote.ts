/**
 * A server outside that a standby cluster cannot follow: it has another cluster's data, or it is a
 * member of this cluster itself. Whoever set `standby_cluster` so has made a mistake. It must not
 * cost this cluster its primary, or its data.
 */
import type { ClusterView, Member } from './cluster.ts';
import { isOfOtherSystem } from './divergence.ts';
import { sourceOf } from './member-source.ts';
import type { Memory, Observation } from './model.ts';
import { withoutStandbyCluster } from './operator-commands.ts';
import type { PostgresFacts, SourceHistory } from './postgres-facts.ts';
import { endpointsOf, type RefusedRemote, remoteSource } from './remote.ts';
import type { Endpoint, Settings } from './settings.ts';

/** So often a leader that refuses a server outside asks it again. */
const AGAIN_MS = 10_000;

export interface RemoteQuestion {
  /** As `config` in etcd has them, whatever was refused of it. */
  readonly settings: Settings;
  readonly view: ClusterView;
  readonly pg: PostgresFacts;
  readonly before: RefusedRemote | null;
  readonly isBusy: boolean;
  readonly nowMs: number;
}

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '::1']);

/** Why the server outside cannot be followed; null: nothing that is known speaks against it. */
export function wrongRemote({ settings, dcs, pg, source }: Pick<Observation, 'settings' | 'dcs' | 'pg' | 'source'>): string | null {
  return whyWrong(settings, dcs.known ? dcs.view.members : [], pg, source);
}

function whyWrong(settings: Settings, members: readonly Member[], pg: PostgresFacts, source: SourceHistory | null): string | null {
  const remote = remoteSource(settings.dynamic);
  if (remote === null) return null;
  const owners = endpointsOf(remote).map((endpoint) => ownerOf(endpoint, members, settings));
  // One that lists the servers of both clusters serves whichever of them is demoted.
  if (!owners.includes(null)) return `${remote.name} is no other cluster: ${[...new Set(owners)].join(', ')} is a member of this one`;
  return source !== null && isOfOtherSystem(pg, source)
    ? `${remote.name} is another cluster (system identifier ${source.systemIdentifier}, this one's is ${pg.systemIdentifier})`
    : null;
}

function ownerOf({ host, port }: Endpoint, members: readonly Member[], { local, postgresql }: Settings): string | null {
  const isHere = LOOPBACK.has(host) ? port === postgresql.port : host === postgresql.connectHost && port === postgresql.connectPort;
  if (isHere) return local.name;
  const owner = members.find((member) => {
    const source = sourceOf(member);
    return source?.host === host && source.port === port;
  });
  return owner?.name ?? null;
}

/** The mend, for a log line. */
export const correctIt = (o: Pick<Observation, 'settings'>): string =>
  `correct standby_cluster, or take it away: ${withoutStandbyCluster(o.settings.local.scope)}`;

/**
 * Whether the server outside has to be asked who it is before the settings count: a primary that
 * leads would be stopped by them. Once it has refused a server, it asks again now and then.
 */
export function asksRemoteFirst(q: RemoteQuestion): boolean {
  const remote = remoteSource(q.settings.dynamic);
  if (remote === null || q.isBusy || !isPrimary(q.pg) || q.view.leader?.name !== q.settings.local.name) return false;
  return q.before?.name !== remote.name || q.nowMs - q.before.askedAtMs >= AGAIN_MS;
}

const isPrimary = ({ state, sql }: PostgresFacts): boolean => state === 'running' && sql?.inRecovery === false;

/**
 * `source`: what it answered; null: nothing. What it was refused for holds for as long as this node
 * leads on, and nothing else is known.
 */
export function refusedRemote(q: RemoteQuestion, asked: boolean, source: SourceHistory | null): RefusedRemote | null {
  const { settings, view, pg, before, nowMs } = q;
  const remote = remoteSource(settings.dynamic);
  const leadsOn = view.leader === null ? isPrimary(pg) : view.leader.name === settings.local.name;
  if (remote === null || !leadsOn) return null;
  const kept = before?.name === remote.name ? before : null;
  if (!asked) return kept;
  const why = whyWrong(settings, view.members, pg, source);
  if (why !== null) return { name: remote.name, why, askedAtMs: nowMs };
  return kept !== null && source === null ? { ...kept, askedAtMs: nowMs } : null;
}

type Said = Pick<Memory, 'refusedRemote'>;

/** What is refused, and why, in a sentence for status and log. */
export const describeRefused = ({ why }: RefusedRemote, o: Pick<Observation, 'settings'>): string =>
  `not becoming a standby leader, and taking writes as before: ${why}; ${correctIt(o)}`;

export function remoteNotes(before: Said, after: Said, o: Pick<Observation, 'settings'>): { level: 'error' | 'info'; text: string }[] {
  const [was, is] = [before.refusedRemote, after.refusedRemote];
  if (is !== null) return was?.why === is.why ? [] : [{ level: 'error', text: describeRefused(is, o) }];
  return was === null ? [] : [{ level: 'info', text: `${was.name} of standby_cluster is no longer refused` }];
}
