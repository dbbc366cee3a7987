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
 * Between two primaries the router says nothing. With no server up, HAProxy closes a new connection
 * at once. While the old server still counts as up, HAProxy retries a refused connection, and so it
 * reaches the new primary without an error. It retries (`retries`) after the shorter of `timeout
 * connect` and 1 s, on another server with `option redispatch 1`. Holding clients with the
 * frontend's maxconn would be quicker. But raising it from 0 while clients wait deadlocks HAProxy
 * (haproxy/haproxy#2726, seen with 2.6.12: its own watchdog kills it).
 */
import { type ClusterView, memberOf } from '../core/cluster.ts';

export interface HaproxyServer {
  readonly name: string;
  readonly up: boolean;
  /**
   * False while an operator has it in maintenance or drain, or if it has no health checks. Then the
   * router leaves it alone.
   */
  readonly ours: boolean;
  readonly sessions: number;
}

/** The servers of the primary backend. */
export type HaproxyState = readonly HaproxyServer[];

export interface RouterCommand {
  /** cut: close all its sessions. */
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

/**
 * Longer than HAProxy waits before it retries a connection: the shorter of `timeout connect` and 1
 * s.
 */
export const CUT_AFTER_MS = 1000;

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
  if (!primary) {
    const lost = memory.serving
      ? view.leader
        ? `${view.leader.name} holds the leader key, but is not a running primary (yet)`
        : 'nobody leads'
      : null;
    return { commands: [], memory: { ...memory, serving: false }, because: lost };
  }
  const key = `${primary.name}@${primary.term}`;
  const fresh = memory.routed !== key || !memory.serving;
  const routed: RouterMemory = { routed: key, serving: true, routedAtMs: fresh ? monotonicMs : memory.routedAtMs };
  if (!haproxy.some(({ name }) => name === primary.name)) {
    return {
      commands: [],
      memory: routed,
      because: fresh ? `HAProxy has no server named ${primary.name}, which is the primary now` : null,
    };
  }
  const inOfficeMs = monotonicMs - routed.routedAtMs;
  const commands = steer(haproxy, primary.name, { assert: inOfficeMs <= assertMs, cut: inOfficeMs >= CUT_AFTER_MS });
  if (fresh) return { commands, memory: routed, because: `${primary.name} is the primary` };
  return { commands, memory: routed, because: overruled(commands) ? `HAProxy disagreed that ${primary.name} is the primary` : null };
}

/**
 * The leader, once its member key says that it is a running primary. Before that, its promotion is
 * not finished.
 */
function servingPrimary(view: ClusterView): { readonly name: string; readonly term: string } | null {
  if (!view.leader) return null;
  const member = memberOf(view, view.leader.name);
  return member?.role === 'primary' && member.state === 'running' ? { name: member.name, term: view.leader.modRevision } : null;
}

function overruled(commands: readonly RouterCommand[]): boolean {
  return commands.some(({ kind }) => kind !== 'cut');
}

/**
 * The primary comes first. While both appear up, a refused client is retried; with none up, its
 * connection is closed. Sessions are closed only CUT_AFTER_MS after the change of primary. HAProxy
 * 3.0 forgets a client whose session is ended while it is still connecting (seen with 3.0.11: the
 * client gets no answer until `timeout client`). After CUT_AFTER_MS, HAProxy has retried those
 * clients on the new primary, and the sessions left on the old one are established.
 */
function steer(
  servers: HaproxyState,
  primary: string,
  { assert, cut }: { readonly assert: boolean; readonly cut: boolean },
): RouterCommand[] {
  const mine = servers.filter(({ ours }) => ours);
  const raise = mine.filter(({ name, up }) => name === primary && !up && assert);
  const others = mine.filter(({ name }) => name !== primary);
  return [
    ...raise.map(({ name }) => ({ kind: 'up', server: name }) as const),
    ...others.flatMap(({ name, up, sessions }) => [
      ...(up ? [{ kind: 'down', server: name } as const] : []),
      ...(sessions > 0 && cut ? [{ kind: 'cut', server: name } as const] : []),
    ]),
  ];
}
