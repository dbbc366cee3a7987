/**
 * Decides what the router should tell HAProxy. It is a pure function.
 *
 * HAProxy's own health checks go on all the time. `health up` and `health down` are verdicts that
 * last until `fall` checks have failed or `rise` checks have passed. The agents' REST answers agree
 * with etcd, so the checks confirm a few seconds later what the router said. If the two disagree
 * for long, the checks are right about what HAProxy can reach. So the router marks the primary up
 * only for a while after the change. It marks every other server down whenever it appears up,
 * because etcd knows better which member leads.
 *
 * A standby cluster takes no writes: when its leader has ended as a primary, every server goes
 * down, which the checks would do seconds later.
 *
 * While nobody holds the leader key the router says nothing. When another member than before has
 * it, the old primary is over: its server goes down and its sessions end at once, and clients wait
 * in the waiting room until the new leader is a running primary. Where HAProxy's file has no such
 * room, the old server must go on counting as up until then. For with no server up, HAProxy closes
 * a new connection; while one counts as up, it retries a refused connection (`retries`), after the
 * shorter of `timeout connect` and 1 s, on another server with `option redispatch 1`. Holding
 * clients with the frontend's maxconn deadlocks HAProxy when it is raised from 0
 * (haproxy/haproxy#2726, seen with 2.6.12: its own watchdog kills it).
 */
import { type ClusterView, memberOf } from '../core/cluster.ts';
import { clusterModes } from '../core/cluster-modes.ts';

export interface HaproxyServer {
  readonly name: string;
  readonly up: boolean;
  /**
   * False while an operator has it in maintenance or drain, or if it has no health checks. Then the
   * router leaves it alone.
   */
  readonly ours: boolean;
  readonly sessions: number;
  /** Nothing answered its last check. A check that was refused with a status was answered. */
  readonly silent: boolean;
  /** Of its PostgreSQL, as HAProxy shows it. Null: HAProxy does not. */
  readonly address: string | null;
}

export interface HaproxyState {
  /** Of the primary backend. */
  readonly servers: readonly HaproxyServer[];
  /** Clients are kept while no server is up (waiting-room.ts). */
  readonly hasWaitingRoom: boolean;
}

/** As HAProxy's file calls it; it is no member. */
export const WAITING_ROOM = 'waiting-room';

export interface RouterCommand {
  /** cut: end its sessions. */
  readonly kind: 'up' | 'down' | 'cut';
  readonly server: string;
}

export interface RouterMemory {
  /** `name@revision of the leader key` of the last primary routed to. */
  readonly routed: string | null;
  /** That primary was still serving at the last pass. */
  readonly serving: boolean;
  readonly routedAtMs: number;
}

export const NEW_ROUTER: RouterMemory = { routed: null, serving: false, routedAtMs: 0 };

export interface RouterInput {
  readonly view: ClusterView;
  readonly haproxy: HaproxyState;
  readonly memory: RouterMemory;
  /** How long after a change the router marks the primary up although the checks disagree. */
  readonly assertMs: number;
  readonly monotonicMs: number;
}

export interface RouterDecision {
  readonly commands: readonly RouterCommand[];
  readonly memory: RouterMemory;
  /** A sentence for the log if something changed, otherwise null. */
  readonly because: string | null;
}

export function routerCommands({ view, haproxy, memory, assertMs, monotonicMs }: RouterInput): RouterDecision {
  const primary = servingPrimary(view);
  if (!primary) return withoutPrimary(view, haproxy, memory);
  const key = `${primary.name}@${primary.term}`;
  const fresh = memory.routed !== key || !memory.serving;
  const routed: RouterMemory = { routed: key, serving: true, routedAtMs: fresh ? monotonicMs : memory.routedAtMs };
  if (!haproxy.servers.some(({ name }) => name === primary.name)) {
    return {
      commands: [],
      memory: routed,
      because: fresh ? `HAProxy has no server named ${primary.name}, which is the primary now` : null,
    };
  }
  const inOfficeMs = monotonicMs - routed.routedAtMs;
  const commands = steer(haproxy.servers, primary.name, inOfficeMs <= assertMs);
  if (fresh) return { commands, memory: routed, because: `${primary.name} is the primary` };
  return { commands, memory: routed, because: overruled(commands) ? `HAProxy disagreed that ${primary.name} is the primary` : null };
}

function withoutPrimary(view: ClusterView, haproxy: HaproxyState, memory: RouterMemory): RouterDecision {
  const leader = view.leader?.name ?? null;
  const isStandbyCluster = leader !== null && clusterModes(view).standbyCluster;
  const commands = isStandbyCluster
    ? closeAll(haproxy.servers, leader)
    : haproxy.hasWaitingRoom
      ? retire(haproxy.servers, leader, memory)
      : [];
  return { commands, memory: { ...memory, serving: false }, because: memory.serving ? whyNone(leader, isStandbyCluster) : null };
}

function whyNone(leader: string | null, isStandbyCluster: boolean): string {
  if (leader === null) return 'nobody leads';
  if (isStandbyCluster) return `${leader} leads a standby cluster, which takes no writes`;
  return `${leader} holds the leader key, but is not a running primary (yet)`;
}

/**
 * The leader, once its member key says that it is a running primary that lets clients in. Before
 * that, its promotion is not finished, or it waits for its standbys.
 */
function servingPrimary(view: ClusterView): { readonly name: string; readonly term: string } | null {
  if (!view.leader) return null;
  const member = memberOf(view, view.leader.name);
  const serves = member?.role === 'primary' && member.state === 'running' && member.raw['clients_wait'] === undefined;
  return serves ? { name: member.name, term: view.leader.modRevision } : null;
}

function overruled(commands: readonly RouterCommand[]): boolean {
  return commands.some(({ kind }) => kind !== 'cut');
}

/** Of all but the successor, once the leader key is another's than the one routed to. */
function retire(servers: readonly HaproxyServer[], successor: string | null, { routed }: RouterMemory): RouterCommand[] {
  const isKnown = servers.some(({ name }) => name === successor);
  if (!isKnown || routed === null || routed.startsWith(`${successor}@`)) return [];
  const others = servers.filter(({ name, ours }) => ours && name !== successor);
  return others.flatMap(close);
}

/** Where HAProxy knows the leader; otherwise they may be another cluster's. */
function closeAll(servers: readonly HaproxyServer[], leader: string): RouterCommand[] {
  return servers.some(({ name }) => name === leader) ? servers.filter(({ ours }) => ours).flatMap(close) : [];
}

function close({ name, up, sessions }: HaproxyServer): RouterCommand[] {
  return [...(up ? [{ kind: 'down', server: name } as const] : []), ...(sessions > 0 ? [{ kind: 'cut', server: name } as const] : [])];
}

/**
 * The primary comes first. While both appear up, a refused client is retried; with none up, its
 * connection may be closed.
 */
function steer(servers: readonly HaproxyServer[], primary: string, assert: boolean): RouterCommand[] {
  const mine = servers.filter(({ ours }) => ours);
  const raise = mine.filter(({ name, up }) => name === primary && !up && assert);
  const others = mine.filter(({ name }) => name !== primary);
  return [...raise.map(({ name }) => ({ kind: 'up', server: name }) as const), ...others.flatMap(close)];
}
